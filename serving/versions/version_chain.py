"""The chain of one model's versions: what has been applied, what is refused, and what happens after a refusal.

Versions that the snapshot already holds are skipped, and so are those that the version policy does not allow
(docs/adr/0014). A version that fails a check is counted by that check, and the applied version remains. If the chain is
broken (a version was missed), a newer snapshot repairs it. After a version out of bounds nothing newer is applied, not
even from a snapshot, until a decision about it has been read: the chain sends a rollback.
"""

from collections.abc import Callable

import msgspec

from headrace.schemas.control import SERVING
from headrace.schemas.http import AppliedVersion, RefusedVersion
from headrace.schemas.times import now_ms
from headrace.schemas.versions.delta import DeltaError
from headrace.schemas.versions.delta_assembler import DeltaAssembler
from headrace.schemas.versions.version_policy import VersionId, VersionPolicy, rollback_decision, version_text
from headrace.serving.kafka.producer import Record
from headrace.serving.state.state import Progress
from headrace.serving.versions import history, snapshot
from headrace.serving.versions.bounds import Bounds, OutOfBounds
from headrace.serving.versions.control import record_of
from headrace.serving.versions.followed_model import FollowedModel
from headrace.serving.versions.history import Applied, History
from headrace.serving.versions.snapshot import Snapshot
from headrace.store.location import Outage


class _VersionNumbers(msgspec.Struct, frozen=True):
    """The fields of a manifest that say which version it is."""

    epoch: int
    seq: int


class VersionChain:
    """Applies versions in order, as far as the policy allows.

    Attributes:
        policy: which versions may be applied.
        applied: the version that was applied last.
        recovered: a snapshot was applied, so versions after it may have been read already.
    """

    def __init__(
        self,
        followed: FollowedModel,
        *,
        progress: Progress,
        send: Callable[[Record], bool],
        refused_as: str = "",
    ) -> None:
        """`send` writes rollbacks; refused versions are listed under `refused_as`."""
        self._followed = followed
        self._progress = progress
        self._send = send
        self._refused_as = refused_as
        self._history = History(followed.config)
        self._bounds = Bounds()
        self._pending_rollback: Record | None = None  # sent, but not read back yet
        self._outage = Outage()
        self._begin: int | None = None  # offset of the first message after the last manifest
        self.policy = VersionPolicy()
        self.applied = self._history.newest_allowed(self.policy)
        self.recovered = False
        self._assembler = self._new_assembler()

    def feed(self, payload: bytes, offset: int | None = None) -> None:
        """Take one message, a chunk or a manifest, that the log has at `offset`."""
        if self._begin is None:
            self._begin = offset
        version = _version_of(payload)
        if version is not None and self._assembler.verifies(payload):
            if self._begin is not None:
                self._history.add_begin(version, self._begin)
            self._begin = None
            if not self.policy.allows(version):
                self._assembler = self._new_assembler()  # without the chunks of the skipped version
                return
        try:
            self._advance(payload)
        except DeltaError as error:
            self._refuse(version, error.check, str(error))
            if error.check == "parent":
                self.recover()
        except OutOfBounds as error:
            self._refuse(version, error.check, str(error))
            self._pending_rollback = self._rollback(str(error))
            self._send(self._pending_rollback)
        except ValueError as error:  # signed and complete, but with other shapes
            self._refuse(version, "schema", str(error))

    def refuse_current(self, reason: str) -> None:
        """Refuse the version being assembled, after an error that nothing else handles."""
        self._assembler = self._new_assembler()
        self._refuse(None, "internal", reason)

    def recover(self) -> None:
        """Apply the newest allowed snapshot if it is newer. If a rollback is pending, send that again instead."""
        if self._pending_rollback is not None:
            self._send(self._pending_rollback)  # the second of two equal decisions changes nothing
            return
        found = self._newest_snapshot()
        if found is not None:
            self._set_applied(history.from_snapshot(found))
            self._assembler = self._new_assembler()
            self.recovered = True

    def change_policy(self, policy: VersionPolicy) -> None:
        """Follow another policy; go back to the newest version that it allows if it does not allow the applied one."""
        self.policy, self._pending_rollback = policy, None
        if not policy.allows(self.applied.version):
            allowed = self.applied = self._history.newest_allowed(policy)
            self.recover()
            if self.applied is allowed:
                self._set_applied(allowed)

    def skipped(self) -> dict[VersionId, int]:
        """The allowed versions after the applied one that were read but not applied, and where they begin."""
        return self._history.allowed_after(self.applied.version, self.policy)

    def rewind(self) -> int | None:
        """Prepare to read skipped versions again: the offset of the first one, None without any."""
        self.recovered = False
        skipped = self.skipped()
        if not skipped:
            return None  # reading continues, perhaps in the middle of a version
        self._begin = None
        self._assembler = self._new_assembler()
        return min(skipped.values())

    def _newest_snapshot(self) -> Snapshot | None:
        """The newest allowed snapshot; None while the bucket cannot be used: the log alone may be enough."""
        followed = self._followed
        if not self._outage.lasts:
            with self._outage.watch(f"the newest snapshot of {followed.name}"):
                return snapshot.latest(
                    followed.snapshots, followed.config, after=self.applied.version, policy=self.policy
                )
        return None

    def _advance(self, payload: bytes) -> None:
        delta = self._assembler.feed(payload)
        if delta is None:
            return
        try:
            applied = history.apply(self.applied, delta)
            self._bounds.check(self.applied.model, delta, applied.model)
        except ValueError:
            self._assembler = self._new_assembler()  # step back, so that no later version follows this one
            raise
        if delta.manifest.parent:  # the first version of an epoch changes nothing, and each refusal may begin an epoch
            self._progress.refused_in_a_row = 0
        if delta.manifest.stats.get("samples", 1.0):
            self._progress.learned_at = now_ms()
        self._set_applied(applied)

    def _set_applied(self, applied: Applied) -> None:
        self.applied = applied
        self._history.add(applied)
        if applied.model.version:
            entry = AppliedVersion(version=applied.model.version, applied_at=now_ms(), to_ms=applied.to_ms)
            self._progress.applied.appendleft(entry)

    def _refuse(self, version: VersionId | None, check: str, detail: str) -> None:
        progress, name = self._progress, version_text(version) if version else ""
        progress.rejected[check] += 1
        progress.refused_in_a_row += 1
        entry = RefusedVersion(version=name, check=check, detail=detail, at=now_ms(), model=self._refused_as)
        progress.refused.appendleft(entry)

    def _rollback(self, why: str) -> Record:
        """A decision to go back to the applied version, in the next epoch."""
        version = self.applied.version
        decision = rollback_decision(self._followed.name, version, epoch=max(version[0], self.policy.epoch) + 1)
        return record_of(msgspec.structs.replace(decision, who=SERVING, at=now_ms(), why=why))

    def _new_assembler(self) -> DeltaAssembler:
        followed = self._followed
        assembler = DeltaAssembler(key=followed.key, schema=followed.config.schema(), model=followed.name)
        epoch, seq = self.applied.version
        assembler.resume(epoch=epoch, seq=seq, digest=self.applied.hash)
        return assembler


def _version_of(payload: bytes) -> VersionId | None:
    """The version that a manifest names; None for a chunk, or if the payload is neither."""
    if not payload.startswith(b"{"):
        return None
    try:
        numbers = msgspec.json.decode(payload, type=_VersionNumbers)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return numbers.epoch, numbers.seq
