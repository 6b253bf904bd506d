"""Fuzzes ingest's judge with events; accepted ones continue to the fold, Avro, the loader's decoders and a read."""

import random
from collections import Counter

import msgspec
import numpy as np

from headrace.lang.executors.fold import SequenceRow, TileFold, TileRow
from headrace.lang.plan.plan import Group, Key
from headrace.lang.planner.load import load_plan
from headrace.layout import FEATURES
from headrace.store.redis.decode import Refused, SequenceDecoder, TileDecoder
from headrace.udfs.decode import EventDecoder
from headrace.udfs.enrich import EventEnricher
from headrace.udfs.judge import Judge
from headrace.udfs.mask import Mask
from tests.fuzz.cases import Found
from tests.fuzz.mutation import NOW_MS, Mutator
from tests.support.random_events import random_events
from tests.support.wire import Wire

PLAN = load_plan(FEATURES)
SOURCE = PLAN.source("clickstream")
REAL = random_events(2_000, seed=3, tag="t", start_ms=NOW_MS - 3_600_000, span_ms=3_600_000)
_READ_EACH = 200


class _GroupPipeline:
    """The path of one group from the clean topic to a reader."""

    def __init__(self, group: Group) -> None:
        self.fold, self.wire = TileFold(group), Wire(group)
        self.keys: dict[Key, None] = {}

    def read(self) -> None:
        merged = self.wire.read(list(self.keys)[-50:], at_ms=NOW_MS)
        for name, values in merged.numbers.items():
            assert not np.isinf(values).any(), f"{name} is infinite"
        self.keys.clear()


class Loader:
    """Fuzzes the loader's decoders with records of feature topics; they may refuse a record, but not fail otherwise.

    An input is the index of a group, whether the record is a tile, and its bytes.
    """

    name = "loader"

    def __init__(self, rng: random.Random) -> None:
        self.counts: Counter[str] = Counter()
        self._rng = rng
        self._decoders = [
            {True: TileDecoder(group), False: SequenceDecoder(group)} for group in PLAN.for_source("clickstream").groups
        ]

    def close(self) -> None:
        """Do nothing: there are no resources to release."""

    def make(self) -> bytes:
        """Make random bytes; `Events` makes inputs that are nearly valid."""
        return msgspec.msgpack.encode((0, True, self._rng.randbytes(20)))

    def run(self, payload: bytes) -> None:
        """Decode one packed record."""
        self.decode(*msgspec.msgpack.decode(payload, type=tuple[int, bool, bytes]))

    def decode(self, group: int, is_tile: bool, record: bytes) -> bool:
        """Decode a record; returns whether it was accepted."""
        self.counts["loader: decoded"] += 1
        try:
            self._decoders[group][is_tile].decode(record, appended_ms=NOW_MS)
        except Refused:
            self.counts["loader: refused"] += 1
            return False
        except Exception as error:
            raise Found(self.name, msgspec.msgpack.encode((group, is_tile, record))) from error
        return True


class Events:
    """Fuzzes with records of topic `events`: valid, altered and damaged ones."""

    name = "events"

    def __init__(self, rng: random.Random) -> None:
        self.counts: Counter[str] = Counter()
        self._mutator = Mutator(rng)
        self._judge = Judge(SOURCE, EventEnricher(SOURCE), Mask(SOURCE, b"k"))
        self._clean = EventDecoder(SOURCE).contract
        self._pipelines = [_GroupPipeline(group) for group in PLAN.for_source("clickstream").groups]
        self._loader = Loader(rng)
        self._loader.counts = self.counts

    def make(self) -> bytes:
        """Make one record: a quarter valid with a new id, half altered, a quarter damaged."""
        mutator = self._mutator
        event = dict(mutator.rng.choice(REAL))
        event["event_id"] = f"e{mutator.rng.randrange(1 << 40)}"
        kind = mutator.rng.randrange(4)
        payload = mutator.json(mutator.alter(event) if kind in (1, 2) else event)
        return mutator.damage(payload) if kind == 3 else payload

    def run(self, payload: bytes) -> None:
        """Send one record through all stages."""
        self.counts["judged"] += 1
        decision = self._judge.judge(payload, 0, self.counts["judged"], NOW_MS)
        if decision[3] is None:
            reason = decision[4] or ""
            assert reason.partition(":")[0] not in ("", "internal"), reason
            reason.encode()
            return
        self.counts["accepted"] += 1
        number = self.counts["accepted"] % len(self._pipelines)
        pipeline = self._pipelines[number]
        for row in pipeline.fold.add(self._clean.decode(decision[3])):
            self._load(number, pipeline, row)
        if len(pipeline.keys) >= _READ_EACH:
            pipeline.read()

    def close(self) -> None:
        """Read the last written keys."""
        for pipeline in self._pipelines:
            pipeline.read()

    def _load(self, number: int, pipeline: _GroupPipeline, row: TileRow | SequenceRow) -> None:
        """Send a row of the fold through the loader, both damaged and intact."""
        is_tile = isinstance(row, TileRow)
        record = pipeline.wire.tile_bytes(row) if is_tile else pipeline.wire.row_bytes(row)
        self._loader.decode(number, is_tile, self._mutator.damage(record))
        if self._loader.decode(number, is_tile, record):
            pipeline.wire.put([row])
            pipeline.keys[row.key] = None
