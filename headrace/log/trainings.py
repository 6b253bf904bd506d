"""Trainings of this stack: topic `control` shows which have finished, the artefacts which were started."""

from collections.abc import Collection, Iterable
from pathlib import Path

from headrace.layout import Layout
from headrace.schemas.control import Control, control_of
from headrace.schemas.versions.version_policy import MODEL, TRAINED


def finished_trainings(payloads: Iterable[bytes | None]) -> frozenset[str]:
    """The models whose training finished, by these records of topic `control`."""
    decisions = (each for each in map(control_of, payloads) if each is not None)
    return frozenset(each.name.removeprefix(MODEL) for each in training_records(decisions))


def training_records(decisions: Iterable[Control]) -> list[Control]:
    """The decisions that record a finished training, in their order."""
    return [each for each in decisions if each.action == TRAINED]


def is_unfinished(layout: Layout, model: str, *, trained: Collection[str]) -> bool:
    """Whether a training of this name was started and has not finished; its snapshots and log belong to it alone."""
    return model not in trained and training_file(layout, model).exists()


def training_file(layout: Layout, model: str) -> Path:
    """The file in which a training records its settings when it starts."""
    return layout.artefacts / model / "training.msgpack"
