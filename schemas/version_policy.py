"""Where a model goes: the decisions about its versions, a fold of topic `control` (docs/adr/0014)."""

from collections.abc import Iterable
from typing import TypeAlias

from msgspec import Struct, structs

from schemas.control import Control, control_of

MODEL = "model/"
ROLLBACK, HALT, FREEZE, UNFREEZE, SKIP = "rollback", "halt", "freeze", "unfreeze", "skip"
PROMOTE, TRAINED = "promote", "trained"  # docs/adr/0017
VersionId: TypeAlias = tuple[int, int]
"""Epoch and sequence of a version, in the order of versions."""


def parse_version(version: str) -> VersionId:
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


def version_text(place: VersionId) -> str:
    """The version's name, `epoch.seq`."""
    return f"{place[0]}.{place[1]}"


class VersionPolicy(Struct, frozen=True, kw_only=True):
    """The fold of one model's decisions.

    Attributes:
        target: the version last gone back to. `epoch`: in which learning goes on from it; 0 before the first rollback.
        successor: (model, version) that `epoch` begins with instead, once a challenger was promoted.
        relearn: whether that epoch learns again what the versions after `target` had learnt.
        halted: whether it was the learner's guard that went back.
        frozen_at: the last version that may answer, while frozen.
    """

    target: VersionId = (0, 0)
    epoch: int = 0
    successor: tuple[str, VersionId] | None = None
    relearn: bool = False
    halted: bool = False
    frozen_at: VersionId | None = None

    def allows(self, place: VersionId) -> bool:
        """Whether a version may answer."""
        thawed = self.frozen_at is None or place <= self.frozen_at
        return thawed and (place <= self.target or place[0] >= self.epoch)

    @property
    def waits(self) -> bool:
        """Whether an epoch that has not begun is to wait for a person."""
        return self.halted and self.frozen_at is not None

    def apply(self, record: Control) -> "VersionPolicy":
        """After one more decision; one on an epoch that was decided on before changes nothing.

        Raises:
            LookupError, ValueError: the record lacks an argument.
        """
        if record.action in (ROLLBACK, HALT, PROMOTE):
            epoch, target = int(record.arguments["epoch"]), parse_version(record.arguments["version"])
            if epoch <= self.epoch or epoch <= target[0]:
                return self
            halted = record.action == HALT
            return VersionPolicy(
                target=target,
                epoch=epoch,
                successor=_successor(record),
                relearn=record.arguments.get("relearn") == "true",
                halted=halted,
                frozen_at=target if halted or self.frozen_at is not None else None,
            )
        if record.action == FREEZE and self.frozen_at is None:
            return structs.replace(self, frozen_at=parse_version(record.arguments["version"]))
        if record.action == UNFREEZE:
            return structs.replace(self, frozen_at=None)
        return self

    def apply_all(self, model: str, payloads: Iterable[bytes | None]) -> "VersionPolicy":
        """After these records of the topic; those of other things, and those that say nothing, are passed over."""
        course = self
        for record in map(control_of, payloads):
            if record is not None and record.name == f"{MODEL}{model}":
                try:
                    course = course.apply(record)
                except (LookupError, ValueError):
                    continue  # not written by this software
        return course


def _successor(record: Control) -> tuple[str, VersionId] | None:
    return (record.arguments["model"], parse_version(record.arguments["of"])) if record.action == PROMOTE else None


def promotion_decision(successor: tuple[str, VersionId], *, model: str, target: VersionId, epoch: int) -> Control:
    """A decision that an epoch of `model` begins with a challenger's version, yet without who, when and why."""
    arguments = {
        "version": version_text(target),
        "epoch": str(epoch),
        "model": successor[0],
        "of": version_text(successor[1]),
    }
    return Control(name=f"{MODEL}{model}", action=PROMOTE, arguments=arguments, who="", at=0, why="")


def rollback_decision(
    model: str, target: VersionId, *, epoch: int, action: str = ROLLBACK, relearn: bool = False
) -> Control:
    """A decision to go back, yet without who, when and why."""
    arguments = {"version": version_text(target), "epoch": str(epoch)} | ({"relearn": "true"} if relearn else {})
    return Control(name=f"{MODEL}{model}", action=action, arguments=arguments, who="", at=0, why="")
