"""Background thread: topic `model.deltas` → the live model.

It starts from the learner's newest snapshot, where there is one, and reads the topic from its beginning:
versions the snapshot holds are passed over. A version that fails a check is counted by that check and the
model in service stays. Where the chain is broken (a version was missed) a newer snapshot mends it.
"""

import threading
import time
from pathlib import Path

from confluent_kafka import Message

from models.config import RankerConfig
from models.state import ModelState
from schemas.delta import DeltaAssembler, DeltaError
from schemas.http import AppliedVersion
from schemas.topics import MODEL_DELTAS
from serving import snapshot
from serving.state import LIVE, Live
from store.tail import Tail

_POLL_S = 0.1
_PARTITION = "0"  # `samples` has one partition


class DeltaReader:
    """Follows one model's versions."""

    def __init__(self, live: Live, *, name: str, key: bytes, folder: Path, config: RankerConfig | None = None) -> None:
        self._live = live
        self._name = name.encode()
        self._key = key
        self._folder = folder
        self._config = config or RankerConfig()
        self._model = ModelState.empty(self._config)
        self._at, self._hash = (0, 0), ""
        self._offset = -1
        self._assembler = self._standing()

    def run(self, bootstrap: str, stop: threading.Event) -> None:
        """Follow the topic until told to stop. While it catches up only the newest version is put in service."""
        self.mend()
        tail = Tail(bootstrap, MODEL_DELTAS)
        shown = ""
        try:
            while not stop.is_set():
                for message in tail.read(_POLL_S):
                    self.take(message)
                if tail.at_end and self._model.version != shown:
                    shown = self.show()
                self._live.progress.deltas_read |= tail.at_end
        finally:
            tail.close()

    def take(self, message: Message) -> None:
        """Take one record of the topic."""
        if message.key() == self._name:
            self.feed(message.value() or b"")

    def feed(self, payload: bytes) -> None:
        """Take one message of this model, a chunk or a manifest."""
        try:
            delta = self._assembler.feed(payload)
        except DeltaError as error:
            self._live.progress.rejected[error.check] += 1
            if error.check == "parent":
                self.mend()
            return
        if delta is None:
            return
        try:
            self._model = self._model.apply(delta)
        except ValueError:  # signed and whole, but not of these shapes: step back, so that no later one follows it
            self._live.progress.rejected["schema"] += 1
            self._assembler = self._standing()
            return
        manifest = delta.manifest
        self._stand((manifest.epoch, manifest.seq), delta.hash, offset=manifest.offsets.get(_PARTITION, -1))
        self._note(manifest.to_ms)

    def mend(self) -> None:
        """Go on from the newest snapshot, if it is ahead."""
        loaded = snapshot.latest(self._folder, self._config, after=self._at)
        if loaded is None:
            return
        meta = loaded.meta
        self._model = loaded.model
        self._stand((meta.epoch, meta.seq), meta.hash, offset=meta.offset)
        self._assembler = self._standing()
        self._note(meta.published_ms)

    def show(self) -> str:
        """Put the model in service; returns its version."""
        self._live.promote(LIVE, self._model, applied_at=_now(), offset=self._offset)
        return self._model.version

    def _standing(self) -> DeltaAssembler:
        assembler = DeltaAssembler(key=self._key, schema=self._config.schema())
        epoch, seq = self._at
        assembler.resume(epoch=epoch, seq=seq, digest=self._hash)
        return assembler

    def _stand(self, at: tuple[int, int], digest: str, *, offset: int) -> None:
        self._at, self._hash, self._offset = at, digest, offset

    def _note(self, to_ms: int) -> None:
        self._live.progress.applied.appendleft(
            AppliedVersion(version=self._model.version, applied_at=_now(), to_ms=to_ms)
        )


def _now() -> int:
    return time.time_ns() // 1_000_000
