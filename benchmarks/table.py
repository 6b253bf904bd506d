"""Ten million ids in the map from ids to table rows, and tables under an endless stream of new ids.

The benchmark looks up every inserted id, and as many absent ones. The map competes with a dict and with a sorted array
and binary search, filled with the same ids. All get ids in batches; look-ups are interleaved. Memory is the growth of
the process. Then come two tables of the ranker's item rows: one sees new ids day by day and expires them as the product
does; the other sees all of them at one time, so that only its limits bound its size.
"""

import argparse
import ctypes
import gc
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path

import numpy as np
import psutil
from msgspec import Struct, structs
from rich.console import Console
from rich.table import Table as Grid

from benchmarks.harness.interleaved import time_interleaved, timed
from benchmarks.harness.machine import Machine, this_machine
from benchmarks.harness.report import run_and_save
from headrace.layout import REPOSITORY
from headrace.models.array_types import Ids, Indexes
from headrace.models.ranker.config import RankerConfig
from headrace.models.tables.idmap import ABSENT, IdMap
from headrace.models.tables.table import Table

RESULT = REPOSITORY / "benchmarks" / "results" / "table.json"
_BATCH = 100_000
_DAY_MS = 86_400_000
_AT_MS = 20_000 * _DAY_MS
_AGAIN = 4  # one in this many new ids is seen a second time, and so gets a row
_LEVELS = 10  # number of measurements of a stream
_MOST = 1_000_000  # limit of rows and of waiting ids in the table that sees all ids at once
console = Console(stderr=True, highlight=False)


class SortedArrayMap:
    """Sorted ids in one array and their values in another; batches are merged, look-ups use binary search."""

    def __init__(self) -> None:
        self._ids: Ids = np.zeros(0, np.int64)
        self._values: Indexes = np.zeros(0, np.int64)

    def put(self, ids: Ids, values: Indexes) -> None:
        """Merge new ids."""
        order = np.argsort(ids)
        indexes = self._ids.searchsorted(ids[order])
        self._ids = np.insert(self._ids, indexes, ids[order])
        self._values = np.insert(self._values, indexes, values[order])

    def get(self, ids: Ids) -> Indexes:
        """The values of ids, `ABSENT` for missing ones."""
        indexes = np.minimum(self._ids.searchsorted(ids), len(self._ids) - 1)
        return np.where(self._ids[indexes] == ids, self._values[indexes], ABSENT)


class DictMap:
    """A dict of Python integers with an array interface."""

    def __init__(self) -> None:
        self._values: dict[int, int] = {}

    def put(self, ids: Ids, values: Indexes) -> None:
        """Insert new ids."""
        self._values.update(zip(ids.tolist(), values.tolist(), strict=True))

    def get(self, ids: Ids) -> Indexes:
        """The values of ids, `ABSENT` for missing ones."""
        get = self._values.get
        return np.array([get(each, ABSENT) for each in ids.tolist()], np.int64)


_MAPS: dict[str, Callable[[], IdMap | SortedArrayMap | DictMap]] = {
    "idmap": IdMap,
    "dict": DictMap,
    "sorted array": SortedArrayMap,
}


class Figures(Struct, frozen=True):
    """Results of one map. `lost`: inserted ids with a wrong value; `mistaken`: absent ids with a value."""

    lost: int
    mistaken: int
    bytes_per_id: float
    inserts_per_s: int
    lookups_per_s: int


class Level(Struct, frozen=True):
    """A table after `seen` distinct ids; `bytes`: growth of the process."""

    seen: int
    rows: int
    waiting: int
    bytes: int


class Result(Struct, frozen=True, kw_only=True):
    """All results."""

    machine: Machine
    ids: int
    maps: dict[str, Figures]
    by_day: list[Level]
    at_once: list[Level]


def measure(*, ids: int, days: int, rounds: int) -> Result:
    """Measure the streams first, while the process is small, then the maps."""
    machine, item = this_machine(), RankerConfig().tables()["item"]
    return Result(
        machine=machine,
        ids=ids,
        by_day=list(_stream(Table(item), ids, ms_a_batch=days * _DAY_MS * _BATCH // ids)),
        at_once=list(_stream(Table(structs.replace(item, most_rows=_MOST, most_waiting=_MOST)), ids, ms_a_batch=0)),
        maps=_maps(*_ids_of(ids), rounds=rounds),
    )


def _stream(table: Table, ids: int, *, ms_a_batch: int) -> Iterator[Level]:
    """Feed new ids to a table, read its changes after each batch, and expire ids once per decay period."""
    rng, before, at_ms, period = np.random.default_rng(1), _resident_bytes(), _AT_MS, 0
    batches = ids // _BATCH
    for batch in range(1, batches + 1):
        at_ms += ms_a_batch
        fresh = rng.integers(1, 2**63 - 1, _BATCH)
        table.sight(fresh, at_ms)
        table.sight(fresh[::_AGAIN], at_ms)
        table.changes()
        if at_ms // RankerConfig().decay_ms > period:
            period = at_ms // RankerConfig().decay_ms
            table.expire(at_ms)
        if batch % max(batches // _LEVELS, 1) == 0:
            yield Level(batch * _BATCH, len(table), table.waiting, _resident_bytes() - before)


def _ids_of(count: int) -> tuple[Ids, Ids]:
    """Random ids, and as many absent ids, all different."""
    rng = np.random.default_rng(2)
    drawn = np.unique(rng.integers(1, 2**63 - 1, 2 * count + 1_000))
    rng.shuffle(drawn)
    return drawn[:count], drawn[count : 2 * count]


def _maps(known: Ids, absent: Ids, *, rounds: int) -> dict[str, Figures]:
    built = {name: _filled(make(), known) for name, make in _MAPS.items()}
    rng = np.random.default_rng(3)
    batches = cycle([known[rng.integers(0, len(known), _BATCH)] for _ in range(7)])
    calls = {name: timed(lambda mapping=mapping: mapping.get(next(batches))) for name, (mapping, _, _) in built.items()}
    times = time_interleaved(calls, rounds=rounds, seed=1)
    return {
        name: Figures(
            lost=sum(int((mapping.get(ids) != values).sum()) for ids, values in _batches(known)),
            mistaken=sum(int((mapping.get(ids) != ABSENT).sum()) for ids, _ in _batches(absent)),
            bytes_per_id=round(map_bytes / len(known), 1),
            inserts_per_s=round(len(known) / seconds),
            lookups_per_s=round(_BATCH / times[name].p50_ms * 1_000),
        )
        for name, (mapping, map_bytes, seconds) in built.items()
    }


def _filled(
    mapping: "IdMap | SortedArrayMap | DictMap", known: Ids
) -> "tuple[IdMap | SortedArrayMap | DictMap, int, float]":
    """Fill a map; returns it with its bytes and the seconds that took."""
    before = _resident_bytes()
    took_ms = sum(timed(lambda ids=ids, values=values: mapping.put(ids, values))() for ids, values in _batches(known))
    return mapping, _resident_bytes() - before, took_ms / 1_000


def _batches(ids: Ids) -> Iterator[tuple[Ids, Indexes]]:
    for first in range(0, len(ids), _BATCH):
        yield ids[first : first + _BATCH], np.arange(first, min(first + _BATCH, len(ids)))


def _resident_bytes() -> int:
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # otherwise earlier freed memory would hide later growth
    return psutil.Process().memory_info().rss


def show(result: Result) -> None:
    """Print one row per map, then one row per level."""
    maps = Grid("map", "lost", "mistaken", "bytes per id", "inserts/s", "look-ups/s", title=f"{result.ids} ids")
    for name, each in result.maps.items():
        maps.add_row(name, *map(str, structs.astuple(each)))
    levels = Grid("ids seen", "by day: rows", "waiting", "MB", "at once: rows", "waiting", "MB")
    for slow, fast in zip(result.by_day, result.at_once, strict=True):
        cells = [str(cell) for each in (slow, fast) for cell in (each.rows, each.waiting, each.bytes // 1_000_000)]
        levels.add_row(str(slow.seen), *cells)
    console.print(maps, levels)


def main() -> int:
    """`headrace bench table`; returns 1 if an id is lost or mistaken."""
    parser = argparse.ArgumentParser(prog="headrace bench table", description=__doc__)
    parser.add_argument("--ids", type=int, default=10_000_000)
    parser.add_argument("--days", type=int, default=120, help="event time over which the first table sees the ids")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", type=Path, default=RESULT)
    chosen = parser.parse_args()
    sizes = {"ids": chosen.ids, "days": chosen.days, "rounds": chosen.rounds}
    result = run_and_save("table", lambda: measure(**sizes), chosen.output)
    show(result)
    return int(any(each.lost or each.mistaken for each in result.maps.values()))


if __name__ == "__main__":
    raise SystemExit(main())
