"""Fuzzes the learner with samples: none crashes it, all parameters stay finite, and it still learns valid samples."""

import random
from collections import Counter

import numpy as np
from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Message
from msgspec import structs

from headrace.learner.loop import Learner
from headrace.learner.samples.source import decode_message
from headrace.learner.settings import LoopSettings
from headrace.models.ranker.arrays import flatten
from headrace.models.ranker.config import RankerConfig
from headrace.schemas.model.heads import SHIPPED_HEADS
from headrace.schemas.samples import SAMPLE
from headrace.schemas.topics import SAMPLES
from headrace.simulator.sample_stream import WAIT_MS, stream
from tests.fuzz.mutation import Mutator

CONFIG = RankerConfig(dim=4, history=4, attention=4, rank=4, hidden=(8, 6), vector=4)
SETTINGS = LoopSettings(cadence_ms=10_000, snapshot_ms=60_000, batch=64, wait_ms=WAIT_MS)
VALID = [structs.asdict(each) for each in stream(1_500)]
_ROUND_MS = 60_000 + WAIT_MS
_APPENDED_MS = 1_900_000_000_000  # later than the times of all valid samples; altered times may go up to this
_CHECK_EACH = 2_000
_LEARN_WITHIN = 1_000  # more samples than a learner holds back during its first wait


class Samples:
    """Fuzzes with records of topic `samples`; counts those fed, learned and quarantined."""

    name, unit = "samples", "samples through the learner"

    def __init__(self, rng: random.Random) -> None:
        self.counts: Counter[str] = Counter()
        self._mutator = Mutator(rng)
        self._learner = Learner(SETTINGS, CONFIG)
        self._made = self._offset = self._steps = self._checked = 0

    def make(self) -> bytes:
        """Make the next sample of an endless stream: half valid, the others with altered fields or damaged bytes."""
        mutator, (rounds, index) = self._mutator, divmod(self._made, len(VALID))
        self._made += 1
        record = dict(VALID[index])
        record["served_at"] += rounds * _ROUND_MS
        record["known_at"] += rounds * _ROUND_MS
        kind = mutator.rng.randrange(6)
        if kind in (3, 4):
            record = _fit_avro(mutator.alter(record, typed=True))
        payload = _encode(record)
        return mutator.damage(payload) if kind == 5 else payload

    def run(self, payload: bytes) -> None:
        """Decode one record and feed it to the learner."""
        self.counts["fed"] += 1
        at = (TIMESTAMP_LOG_APPEND_TIME, _APPENDED_MS)
        message = Message(topic=SAMPLES.name, partition=0, offset=self._offset, value=payload, timestamp=at)
        for _ in self._learner.feed([(self._offset, decode_message(message))]):
            pass
        self._offset += 1
        if self._offset % _CHECK_EACH == 0:
            self.close()

    def close(self) -> None:
        """Check that all parameters are finite and that valid samples were learned."""
        state = self._learner.trainer.state()
        for name, array in flatten(state).items():
            if np.issubdtype(array.dtype, np.floating):
                assert np.isfinite(array).all(), f"{name} is not finite"
        enough = self.counts["fed"] - self._checked > _LEARN_WITHIN
        assert state.steps > self._steps or not enough, "the learner learned none of the last valid samples"
        self._checked = self.counts["fed"]
        self.counts["learned"] += (state.steps - self._steps) * SETTINGS.batch
        self._steps = state.steps
        self.counts["quarantined"] += len(self._learner.take_rejected())


def _fit_avro(record: dict[str, object]) -> dict[str, object]:
    """The record limited to values that Avro can encode: 64-bit integers (32 for a position), no lone surrogates."""
    for name, value in record.items():
        if isinstance(value, int) and not isinstance(value, bool):
            bits = 31 if name == "position" else 63
            record[name] = max(min(value, (1 << bits) - 1), -(1 << bits))
        elif isinstance(value, str):
            record[name] = value.encode("utf-8", "replace").decode()
        elif isinstance(value, list):
            record[name] = [str(each).encode("utf-8", "replace").decode() for each in value]
    for name in SHIPPED_HEADS.names:
        value = record[name]
        record[name] = float(value) if isinstance(value, int | float) else None
    record["context"] = {}
    return record


def _encode(record: dict[str, object]) -> bytes:
    return SAMPLE.encode(record)
