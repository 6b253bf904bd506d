"""Background thread: topic `model.deltas` → the model of an alias.

It starts from the learner's newest snapshot, if there is one, and reads the topic from its beginning. A version is
promoted once the reader has caught up (`versions.version_chain` applies and refuses versions).
"""

import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from confluent_kafka import Message

from headrace.models.ranker.state import ModelState
from headrace.schemas.dead_letter import reason_of
from headrace.schemas.times import now_ms
from headrace.schemas.topics import MODEL_DELTAS
from headrace.schemas.versions.aliases import LIVE
from headrace.schemas.versions.heartbeat import key_of
from headrace.schemas.versions.version_policy import VersionId, VersionPolicy
from headrace.serving.kafka.producer import Record
from headrace.serving.state.state import Progress
from headrace.serving.versions.followed_model import FollowedModel
from headrace.serving.versions.version_chain import VersionChain
from headrace.store.kafka.log import LogReader
from headrace.store.kafka.quarantine import Quarantine

_POLL_S = 0.1


class VersionLog(Protocol):
    """The topic being followed; `store.log.LogReader` is one."""

    at_end: bool

    def read(self, timeout_s: float) -> Sequence[Message]:
        """The next records."""
        ...

    def seek(self, offset: int) -> None:
        """Continue reading at an offset."""
        ...


class AliasSlot(Protocol):
    """Where a model's versions are promoted; `state.Live` is one, `challenger.ModelSlot` another."""

    @property
    def progress(self) -> Progress:
        """The progress of its thread."""
        ...

    @property
    def policy(self) -> VersionPolicy:
        """Which versions may be served, as far as `control` has been read."""
        ...

    def promote(self, alias: str, model: ModelState, *, applied_at: int, offset: int = -1) -> None:
        """Serve a model under an alias."""
        ...


def send_nothing(_: Record) -> bool:
    """Send nothing, for readers that must not decide."""
    return False


class DeltaReader:
    """Follows one model's versions. `send` writes decisions: rollbacks from versions out of bounds."""

    def __init__(
        self,
        slot: AliasSlot,
        followed: FollowedModel,
        *,
        send: Callable[[Record], bool] = send_nothing,
        alias: str = LIVE,
        quarantine: Quarantine | None = None,
    ) -> None:
        self._slot = slot
        self._alias = alias
        self._name = followed.name
        self._quarantine = quarantine
        self._promoted: VersionId = (0, 0)
        refused_as = "" if alias == LIVE else followed.name
        self.chain = VersionChain(followed, progress=slot.progress, send=send, refused_as=refused_as)

    def run(self, bootstrap: str, stop: threading.Event) -> None:
        """Follow the topic until `stop` is set, once the version policy is known.

        Raises:
            BrokenProgram: most records fail.
        """
        while not (self._slot.progress.control_read or stop.wait(_POLL_S)):
            continue
        self.follow(bootstrap, stop.is_set)

    def follow(self, bootstrap: str, is_over: Callable[[], bool]) -> None:
        """Follow the topic until `is_over`. `control` must have been read.

        Raises:
            BrokenProgram: most records fail.
        """
        self.start()
        tail = LogReader(bootstrap, MODEL_DELTAS.name)
        try:
            while not is_over():
                self.step(tail)
        finally:
            tail.close()

    def start(self) -> None:
        """Begin with the current policy and the newest snapshot that it allows."""
        self.chain.policy = self._slot.policy
        self.chain.recover()

    def step(self, log: VersionLog) -> None:
        """Follow a changed version policy, read the next messages, and promote the applied version once caught up."""
        chain = self.chain
        if self._slot.policy != chain.policy:
            chain.change_policy(self._slot.policy)
            self._rewind(log)
        for message in log.read(_POLL_S):
            self.handle(message)
        if chain.recovered:  # the versions between the snapshot and the one that showed the gap were skipped
            self._rewind(log)
        caught_up = log.at_end or not chain.skipped()
        if caught_up and chain.applied.hash and chain.applied.version != self._promoted:
            self.promote()
        self._slot.progress.deltas_read |= log.at_end

    def handle(self, message: Message) -> None:
        """Apply a record of this model, or note its heartbeat; ignore other models' records.

        A record that fails is refused and set aside.

        Raises:
            BrokenProgram: most records fail.
        """
        name, heartbeat = self._name.encode(), key_of(self._name).encode()
        if message.key() not in (name, heartbeat):
            return
        self._slot.progress.heartbeat_at = now_ms()
        if message.key() == heartbeat:
            return
        try:
            self.chain.feed(message.value() or b"", message.offset())
        except Exception as error:  # an error in this software: refuse the version and continue with the next
            self.chain.refuse_current(reason_of(error))
            if self._quarantine:
                self._quarantine.set_aside_message(message, reason_of(error))
        else:
            if self._quarantine:
                self._quarantine.count_handled()

    def promote(self) -> str:
        """Serve the applied version; returns its name."""
        applied = self.chain.applied
        self._slot.promote(self._alias, applied.model, applied_at=now_ms(), offset=applied.offset)
        self._promoted = applied.version
        return applied.model.version

    def _rewind(self, log: VersionLog) -> None:
        offset = self.chain.rewind()
        if offset is not None:
            log.seek(offset)
