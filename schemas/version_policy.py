"""Where a model goes: the decisions about its versions, a fold of topic `control` (docs/adr/0014)."""

from collections.abc import Iterable
from typing import TypeAlias

from msgspec import Struct, structs

from schemas.control import Control, control_of

MODEL = "model/"
ROLLBACK, HALT, FREEZE, UNFREEZE, SKIP = "rollback", "halt", "freeze", "unfreeze", "skip"
PROMOTE, TRAINED = "promote", "trained"  # docs/adr/0017
Place: TypeAlias = tuple[int, int]
"""Epoch and sequence of a version, in the order of versions."""


def place_of(version: str) -> Place:
    """The place that `epoch.seq` names.

    Raises:
        ValueError: the text is no version.

    >>> place_of("2.13")
    (2, 13)
    """
    epoch, _, seq = version.partition(".")
    if not (epoch.isdecimal() and seq.isdecimal()):
        message = f"{version!r} is no version; one is written epoch.seq, such as 1.7"
        raise ValueError(message)
    return int(epoch), int(seq)


def named(place: Place) -> str:
    """The version's name, `epoch.seq`."""
    return f"{place[0]}.{place[1]}"


class Course(Struct, frozen=True, kw_only=True):
    """The fold of one model's decisions.

    Attributes:
        target: the version last gone back to. `epoch`: in which learning goes on from it; 0 before the first rollback.
        heir: (model, version) that `epoch` begins with instead, once a challenger was promoted.
        relearn: whether that epoch learns again what the versions after `target` had learnt.
        halted: whether it was the learner's guard that went back.
        frozen_at: the last version that may answer, while frozen.
    """

    target: Place = (0, 0)
    epoch: int = 0
    heir: tuple[str, Place] | None = None
    relearn: bool = False
    halted: bool = False
    frozen_at: Place | None = None

    def admits(self, place: Place) -> bool:
        """Whether a version may answer."""
        thawed = self.frozen_at is None or place <= self.frozen_at
        return thawed and (place <= self.target or place[0] >= self.epoch)

    @property
    def waits(self) -> bool:
        """Whether an epoch that has not begun is to wait for a person."""
        return self.halted and self.frozen_at is not None

    def taken(self, record: Control) -> "Course":
        """After one more decision; one on an epoch that was decided on before changes nothing.

        Raises:
            LookupError, ValueError: the record lacks an argument.
        """
        if record.action in (ROLLBACK, HALT, PROMOTE):
            epoch, target = int(record.arguments["epoch"]), place_of(record.arguments["version"])
            if epoch <= self.epoch or epoch <= target[0]:
                return self
            halted = record.action == HALT
            return Course(
                target=target,
                epoch=epoch,
                heir=_heir(record),
                relearn=record.arguments.get("relearn") == "true",
                halted=halted,
                frozen_at=target if halted or self.frozen_at is not None else None,
            )
        if record.action == FREEZE and self.frozen_at is None:
            return structs.replace(self, frozen_at=place_of(record.arguments["version"]))
        if record.action == UNFREEZE:
            return structs.replace(self, frozen_at=None)
        return self

    def after(self, model: str, payloads: Iterable[bytes | None]) -> "Course":
        """After these records of the topic; those of other things, and those that say nothing, are passed over."""
        course = self
        for record in map(control_of, payloads):
            if record is not None and record.name == f"{MODEL}{model}":
                try:
                    course = course.taken(record)
                except (LookupError, ValueError):
                    continue  # not written by this software
        return course


def _heir(record: Control) -> tuple[str, Place] | None:
    return (record.arguments["model"], place_of(record.arguments["of"])) if record.action == PROMOTE else None


def handed_to(heir: tuple[str, Place], *, model: str, target: Place, epoch: int) -> Control:
    """A decision that an epoch of `model` begins with a challenger's version, yet without who, when and why."""
    arguments = {"version": named(target), "epoch": str(epoch), "model": heir[0], "of": named(heir[1])}
    return Control(name=f"{MODEL}{model}", action=PROMOTE, arguments=arguments, who="", at=0, why="")


def back_to(model: str, target: Place, *, epoch: int, action: str = ROLLBACK, relearn: bool = False) -> Control:
    """A decision to go back, yet without who, when and why."""
    arguments = {"version": named(target), "epoch": str(epoch)} | ({"relearn": "true"} if relearn else {})
    return Control(name=f"{MODEL}{model}", action=action, arguments=arguments, who="", at=0, why="")
