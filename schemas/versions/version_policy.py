"""Which versions of a model may answer: the fold of its decisions on topic `control` (docs/adr/0014)."""

from collections.abc import Iterable
from typing import TypeAlias

from msgspec import Struct, structs

from headrace.schemas.control import Control, control_of

MODEL = "model/"
ROLLBACK, HALT, FREEZE, UNFREEZE, SKIP = "rollback", "halt", "freeze", "unfreeze", "skip"
PROMOTE, TRAINED = "promote", "trained"  # docs/adr/0017
VersionId: TypeAlias = tuple[int, int]
"""Epoch and sequence number of a version; compares in the order of versions."""


def parse_version(version: str) -> VersionId:
    """Parse a version written as `epoch.seq`.

    Raises:
        ValueError: the text is not a version.

    >>> parse_version("2.13")
    (2, 13)
    """
    epoch, _, seq = version.partition(".")
    if not (epoch.isdecimal() and seq.isdecimal()):
        message = f"{version!r} is not a version; write epoch.seq, such as 1.7"
        raise ValueError(message)
    return int(epoch), int(seq)


def version_text(version: VersionId) -> str:
    """Write a version as `epoch.seq`."""
    return f"{version[0]}.{version[1]}"


class VersionPolicy(Struct, frozen=True, kw_only=True):
    """The fold of one model's decisions.

    Attributes:
        target: the version of the last rollback. `epoch`: in which learning continues from it; 0 before any rollback.
        successor: (model, version) that `epoch` begins with instead, after a challenger was promoted.
        relearn: whether that epoch learns the samples of the versions after `target` again.
        halted: whether the learner's guard decided the rollback.
        frozen_at: the last version that may answer while frozen.
    """

    target: VersionId = (0, 0)
    epoch: int = 0
    successor: tuple[str, VersionId] | None = None
    relearn: bool = False
    halted: bool = False
    frozen_at: VersionId | None = None

    def allows(self, version: VersionId) -> bool:
        """Whether a version may answer."""
        within_freeze = self.frozen_at is None or version <= self.frozen_at
        return within_freeze and (version <= self.target or version[0] >= self.epoch)

    @property
    def waits(self) -> bool:
        """Whether the next epoch waits for an operator before it begins."""
        return self.halted and self.frozen_at is not None

    def apply(self, record: Control) -> "VersionPolicy":
        """The policy after one more decision. A decision on an epoch that was already decided on changes nothing.

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
        """The policy after these records of the topic; skips records that are not valid or concern anything else."""
        policy = self
        for record in map(control_of, payloads):
            if record is not None and record.name == f"{MODEL}{model}":
                try:
                    policy = policy.apply(record)
                except (LookupError, ValueError):
                    continue  # another program wrote it
        return policy


def _successor(record: Control) -> tuple[str, VersionId] | None:
    return (record.arguments["model"], parse_version(record.arguments["of"])) if record.action == PROMOTE else None


def promotion_decision(successor: tuple[str, VersionId], *, model: str, target: VersionId, epoch: int) -> Control:
    """A decision that an epoch of `model` begins with a challenger's version; who, when and why are still blank."""
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
    """A decision to roll back; who, when and why are still blank."""
    arguments = {"version": version_text(target), "epoch": str(epoch)} | ({"relearn": "true"} if relearn else {})
    return Control(name=f"{MODEL}{model}", action=action, arguments=arguments, who="", at=0, why="")
