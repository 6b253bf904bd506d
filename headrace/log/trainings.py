"""Trainings of this stack: topic `control` shows which have finished, the artefacts which were started."""

from collections.abc import Collection, Iterable
from pathlib import Path

from headrace.layout import Layout
from schemas.control import control_of
from schemas.version_policy import MODEL, TRAINED


def finished_trainings(payloads: Iterable[bytes | None]) -> frozenset[str]:
    """The models whose training finished, by these records of topic `control`."""
    trained = (each.name for each in map(control_of, payloads) if each is not None and each.action == TRAINED)
    return frozenset(name.removeprefix(MODEL) for name in trained)


def is_unfinished(layout: Layout, model: str, *, trained: Collection[str]) -> bool:
    """Whether a training of this name was started and has not finished; its snapshots and log belong to it alone."""
    return model not in trained and training_file(layout, model).exists()


def training_file(layout: Layout, model: str) -> Path:
    """The file in which a training records its settings when it starts."""
    return layout.artefacts / model / "training.msgpack"
