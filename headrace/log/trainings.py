"""Trainings of this stack: which have ended, by topic `control`, and which were begun, by the artefacts."""

from collections.abc import Collection, Iterable
from pathlib import Path

from headrace.layout import Layout
from schemas.control import control_of
from schemas.version_policy import MODEL, TRAINED


def finished_trainings(payloads: Iterable[bytes | None]) -> frozenset[str]:
    """The models that these records of topic `control` say were trained to their end."""
    trained = (each.name for each in map(control_of, payloads) if each is not None and each.action == TRAINED)
    return frozenset(name.removeprefix(MODEL) for name in trained)


def is_unfinished(layout: Layout, model: str, *, trained: Collection[str]) -> bool:
    """Whether a training of this name was begun and is not through: its snapshots and log are that training's alone."""
    return model not in trained and training_file(layout, model).exists()


def training_file(layout: Layout, model: str) -> Path:
    """Where a training notes what it was begun with."""
    return layout.artefacts / model / "training.msgpack"
