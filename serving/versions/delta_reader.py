"""Background thread: topic `model.deltas` → the live model.

It starts from the learner's newest snapshot, where there is one, and reads the topic from its beginning:
versions the snapshot holds are passed over, and those that the model's course does not admit (docs/adr/0014). A
version that fails a check is counted by that check and the model in service stays. Where the chain is broken (a
version was missed) a newer snapshot mends it; after a version out of bounds nothing does but a decision.
"""

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import msgspec
from confluent_kafka import Message

from models.config import RankerConfig
from models.state import ModelState
from schemas.aliases import LIVE
from schemas.dead_letter import reason_of
from schemas.delta import DeltaError
from schemas.delta_assembler import DeltaAssembler
from schemas.heartbeat import key_of
from schemas.http import AppliedVersion, RefusedVersion
from schemas.topics import MODEL_DELTAS
from schemas.version_policy import Course, Place, back_to, named
from serving.kafka.producer import Letter
from serving.state.state import Progress
from serving.versions import snapshot
from serving.versions.bounds import Bounds, OutOfBounds
from serving.versions.control import letter
from serving.versions.history import Standing, Trail, after, of_snapshot
from store.log import LogReader
from store.quarantine import Quarantine

_POLL_S = 0.1
_WHO = "serving"


class Log(Protocol):
    """The topic, followed; `store.log.LogReader` is one."""

    at_end: bool

    def read(self, timeout_s: float) -> Sequence[Message]:
        """The next records."""
        ...

    def seek(self, offset: int) -> None:
        """Read on from an offset."""
        ...


class Seat(Protocol):
    """Where the versions of a model answer, and which may; `state.Live` is one, `rival.Seat` another."""

    @property
    def progress(self) -> Progress:
        """How far its thread has come."""
        ...

    @property
    def course(self) -> Course:
        """Which versions may answer, as far as control has been read."""
        ...

    def promote(self, alias: str, model: ModelState, *, applied_at: int, offset: int = -1) -> None:
        """Put a model under an alias."""
        ...


class _Numbers(msgspec.Struct, frozen=True):
    """What of a manifest says which version it is."""

    epoch: int
    seq: int


def unheard(_: Letter) -> bool:
    """Where the decisions of a reader go that only looks."""
    return False


class DeltaReader:
    """Follows one model's versions as far as its course goes. `send` writes a decision: to go back from a version."""

    def __init__(
        self,
        live: Seat,
        *,
        name: str,
        key: bytes,
        folder: Path,
        send: Callable[[Letter], bool] = unheard,
        alias: str = LIVE,
        config: RankerConfig | None = None,
        quarantine: Quarantine | None = None,
    ) -> None:
        self._live = live
        self._alias = alias
        self._name = name
        self._key = key
        self._folder = folder
        self._send = send
        self._config = config or RankerConfig()
        self._quarantine = quarantine
        self._course = Course()
        self._trail = Trail(self._config)
        self._standing = self._trail.back(self._course)
        self._bounds = Bounds()
        self._veto: Letter | None = None  # the decision asked for, until a course has come of it
        self._begin: int | None = None  # offset of the first message since the last manifest
        self._shown: Place = (0, 0)
        self._mended = False
        self._assembler = self._fresh()

    def run(self, bootstrap: str, stop: threading.Event) -> None:
        """Follow the topic until told to stop, once it is known which versions are admitted."""
        while not (self._live.progress.control_read or stop.wait(_POLL_S)):
            continue
        self.follow(bootstrap, stop.is_set)

    def follow(self, bootstrap: str, is_over: Callable[[], bool]) -> None:
        """Follow the topic, once control has been read, until it is over."""
        self._course = self._live.course
        self.recover()
        tail = LogReader(bootstrap, MODEL_DELTAS.name)
        try:
            while not is_over():
                self.step(tail)
        finally:
            tail.close()

    def step(self, log: Log) -> None:
        """Turn to another course if there is one, read on, and put in service what one stands on, once caught up."""
        if self._live.course != self._course:
            self._turn(self._live.course, log)
        for message in log.read(_POLL_S):
            self.take(message)
        if self._mended:  # the versions between the snapshot and the one that showed the gap have been read
            self._read_on(log)
        caught_up = log.at_end or not self._trail.ahead(self._standing, self._course)
        if caught_up and self._standing.hash and self._standing.at != self._shown:
            self.show()
        self._live.progress.deltas_read |= log.at_end

    def take(self, message: Message) -> None:
        """Take one record of the topic."""
        if message.key() == key_of(self._name).encode():
            self._live.progress.heard_at = _now()
        elif message.key() == self._name.encode():
            self._live.progress.heard_at = _now()
            offset = message.offset()
            self._begin = offset if self._begin is None else self._begin
            try:
                self.feed(message.value() or b"")
            except Exception as error:  # nobody foresaw it: the version is refused, and the next one is taken
                self._assembler = self._fresh()
                self._refuse(None, "internal", reason_of(error))
                if self._quarantine:
                    self._quarantine.message(message, reason_of(error))
            else:
                if self._quarantine:
                    self._quarantine.handled()

    def feed(self, payload: bytes) -> None:
        """Take one message of this model, a chunk or a manifest."""
        at = _place(payload)
        if at is not None and self._assembler.is_ours(payload):
            if self._begin is not None:
                self._trail.begins(at, self._begin)
            self._begin = None
            if not self._course.admits(at):
                self._assembler = self._fresh()  # without the chunks of what is passed over
                return
        try:
            self._advance(payload)
        except DeltaError as error:
            self._refuse(at, error.check, str(error))
            if error.check == "parent":
                self.recover()
        except OutOfBounds as error:
            self._refuse(at, error.check, str(error))
            self._veto = self._decision(str(error))
            self._send(self._veto)
        except ValueError as error:  # signed and whole, but not of these shapes
            self._refuse(at, "schema", str(error))

    def recover(self) -> None:
        """Go on from the newest admitted snapshot, if it is ahead; not past a version that was out of bounds."""
        if self._veto is not None:
            self._send(self._veto)  # again: what is written twice holds once
            return
        loaded = snapshot.latest(self._folder, self._config, after=self._standing.at, course=self._course)
        if loaded is not None:
            self._stand(of_snapshot(loaded))
            self._assembler = self._fresh()
            self._mended = True

    def show(self) -> str:
        """Put the model in service; returns its version."""
        standing = self._standing
        self._live.promote(self._alias, standing.model, applied_at=_now(), offset=standing.offset)
        self._shown = standing.at
        return standing.model.version

    def _turn(self, course: Course, log: Log) -> None:
        """Step back to what the new course admits, and read on from there if there is more."""
        self._course, self._veto = course, None
        if not course.admits(self._standing.at):
            stepped = self._standing = self._trail.back(course)
            self.recover()
            if self._standing is stepped:
                self._stand(stepped)
        self._read_on(log)

    def _read_on(self, log: Log) -> None:
        """Read again what has been passed and follows on where one stands."""
        self._mended = False
        ahead = self._trail.ahead(self._standing, self._course)
        if ahead:
            self._begin = None
            log.seek(min(ahead.values()))
        self._assembler = self._fresh()

    def _advance(self, payload: bytes) -> None:
        delta = self._assembler.feed(payload)
        if delta is None:
            return
        try:
            standing = after(self._standing, delta)
            self._bounds.check(self._standing.model, delta, standing.model)
        except ValueError:
            self._assembler = self._fresh()  # step back, so that no later one follows it
            raise
        if delta.manifest.parent:  # each refused change may begin an epoch, whose first version changes nothing
            self._live.progress.in_a_row = 0
        if delta.manifest.stats.get("samples", 1.0):
            self._live.progress.learnt_at = _now()
        self._stand(standing)

    def _stand(self, standing: Standing) -> None:
        self._standing = standing
        self._trail.stood(standing)
        version = standing.model.version
        if version:
            told = AppliedVersion(version=version, applied_at=_now(), to_ms=standing.to_ms)
            self._live.progress.applied.appendleft(told)

    def _refuse(self, at: Place | None, check: str, detail: str) -> None:
        progress, version = self._live.progress, named(at) if at else ""
        progress.rejected[check] += 1
        progress.in_a_row += 1
        model = "" if self._alias == LIVE else self._name
        told = RefusedVersion(version=version, check=check, detail=detail, at=_now(), model=model)
        progress.refused.appendleft(told)

    def _decision(self, why: str) -> Letter:
        """Back to where one stands, in the next epoch."""
        at = self._standing.at
        record = back_to(self._name, at, epoch=max(at[0], self._course.epoch) + 1)
        return letter(msgspec.structs.replace(record, who=_WHO, at=_now(), why=why))

    def _fresh(self) -> DeltaAssembler:
        assembler = DeltaAssembler(key=self._key, schema=self._config.schema(), model=self._name)
        epoch, seq = self._standing.at
        assembler.resume(epoch=epoch, seq=seq, digest=self._standing.hash)
        return assembler


def _place(payload: bytes) -> Place | None:
    """Which version a manifest is of; None for a chunk, or for what is neither."""
    if not payload.startswith(b"{"):
        return None
    try:
        numbers = msgspec.json.decode(payload, type=_Numbers)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return numbers.epoch, numbers.seq


def _now() -> int:
    return time.time_ns() // 1_000_000
