"""Versions that a real learner made from a small world, and a topic in memory to write them to."""

import functools

from msgspec import Struct, structs

from headrace.learner.loop import Learner
from headrace.learner.settings import LoopSettings
from headrace.learner.versions.cuts import Checkpoint, Publication
from headrace.models.ranker.config import RankerConfig
from headrace.models.ranker.fingerprint import fingerprint
from headrace.schemas.versions.delta import seal
from headrace.simulator.sample_stream import WAIT_MS, stream

KEY = b"key"
SETTINGS = LoopSettings(cadence_ms=10_000, snapshot_ms=40_000, wait_ms=WAIT_MS)


class Record(Struct, frozen=True):
    """One message of the topic."""

    position: int
    payload: bytes

    def key(self) -> bytes:
        return b"ranker"

    def value(self) -> bytes:
        return self.payload

    def offset(self) -> int:
        return self.position


class MemoryTopic:
    """A topic in memory, read like a real one."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.at_end, self._next = False, 0

    def write(self, *publications: Publication) -> None:
        for cut in publications:
            message, _ = seal(structs.replace(cut.manifest, created_at=1), key=KEY)
            for payload in (*cut.chunks, message):
                self.records.append(Record(len(self.records), payload))

    def read(self, timeout_s: float) -> list[Record]:
        found, self._next = self.records[self._next :], len(self.records)
        self.at_end = True
        return found

    def seek(self, offset: int) -> None:
        self.at_end, self._next = False, offset


class Made(Struct, frozen=True):
    """What a learner made from a small world; `whole` is the first version of epoch 2, a rollback to `back`."""

    versions: list[Publication]
    checkpoints: list[Checkpoint]
    fingerprints: dict[str, str]
    whole: Publication
    back: str


@functools.cache
def made() -> Made:
    """One epoch of nearly twenty versions, and the first version of the next. Always the same."""
    learner, cuts, fingerprints = Learner(SETTINGS, RankerConfig()), [], {}
    whole, back = None, "1.9"
    for cut in learner.feed(enumerate(stream(4600))):
        cuts.append(cut)
        fingerprints[learner.published.version] = fingerprint(learner.published)
        if learner.published.version == back and whole is None:
            branch = Learner.from_checkpoint(SETTINGS, learner.checkpoint().meta, arrays=learner.checkpoint().arrays)
            whole = branch.begin_epoch(2)
    versions = [cut for cut in cuts if isinstance(cut, Publication)]
    return Made(versions, [cut for cut in cuts if isinstance(cut, Checkpoint)], fingerprints, whole, back)
