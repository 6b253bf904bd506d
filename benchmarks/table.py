"""Ten million ids in the map that tables find their rows by, and tables that new ids never stop coming to.

The map is asked for every id that was put in and for as many that were not; beside it stand a dict and a sorted array
with binary search, filled with the same ids. All take ids in batches, look-ups in turns. Memory is what the process
holds more than before. Then two tables of the ranker's item rows: one sees new ids day by day and forgets them as the
product does, the other sees them all at one moment, so that nothing but its limits can hold it.
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

from benchmarks.harness.interleaved import clocked, in_turns
from benchmarks.harness.machine import Machine, this_machine
from benchmarks.harness.report import carry_out
from headrace.layout import REPOSITORY
from models.array_types import Ids, Indexes
from models.config import RankerConfig
from models.idmap import ABSENT, IdMap
from models.table import Table

RESULT = REPOSITORY / "benchmarks" / "results" / "table.json"
_BATCH = 100_000
_DAY_MS = 86_400_000
_AT_MS = 20_000 * _DAY_MS
_AGAIN = 4  # of so many new ids one is seen a second time, and so owns a row
_LEVELS = 10  # figures told of a stream
_MOST = 1_000_000  # rows, and ids that wait, of the table that sees all at once
console = Console(stderr=True, highlight=False)


class Sorted:
    """Ids in a sorted array, their values in another: a batch is merged in, an id found by halving."""

    def __init__(self) -> None:
        self._ids: Ids = np.zeros(0, np.int64)
        self._values: Indexes = np.zeros(0, np.int64)

    def put(self, ids: Ids, values: Indexes) -> None:
        """Merge new ids in."""
        order = np.argsort(ids)
        places = self._ids.searchsorted(ids[order])
        self._ids = np.insert(self._ids, places, ids[order])
        self._values = np.insert(self._values, places, values[order])

    def get(self, ids: Ids) -> Indexes:
        """Values, `ABSENT` where an id is not in."""
        places = np.minimum(self._ids.searchsorted(ids), len(self._ids) - 1)
        return np.where(self._ids[places] == ids, self._values[places], ABSENT)


class Hashed:
    """A dict of Python's numbers, as arrays reach it."""

    def __init__(self) -> None:
        self._values: dict[int, int] = {}

    def put(self, ids: Ids, values: Indexes) -> None:
        """Put new ids in."""
        self._values.update(zip(ids.tolist(), values.tolist(), strict=True))

    def get(self, ids: Ids) -> Indexes:
        """Values, `ABSENT` where an id is not in."""
        get = self._values.get
        return np.array([get(each, ABSENT) for each in ids.tolist()], np.int64)


_MAPS: dict[str, Callable[[], IdMap | Sorted | Hashed]] = {"idmap": IdMap, "dict": Hashed, "sorted array": Sorted}


class Figures(Struct, frozen=True):
    """Of one map. `lost`: ids put in that do not find their own value; `mistaken`: others that find one."""

    lost: int
    mistaken: int
    bytes_per_id: float
    inserts_per_s: int
    lookups_per_s: int


class Level(Struct, frozen=True):
    """A table after so many ids, none of which came before; `bytes`: what the process holds more than without it."""

    seen: int
    rows: int
    waiting: int
    bytes: int


class Result(Struct, frozen=True, kw_only=True):
    """All that was measured."""

    machine: Machine
    ids: int
    maps: dict[str, Figures]
    by_day: list[Level]
    at_once: list[Level]


def measure(*, ids: int, days: int, rounds: int) -> Result:
    """The streams, while the process is small, then the maps."""
    machine, item = this_machine(), RankerConfig().tables()["item"]
    return Result(
        machine=machine,
        ids=ids,
        by_day=list(_stream(Table(item), ids, ms_a_batch=days * _DAY_MS * _BATCH // ids)),
        at_once=list(_stream(Table(structs.replace(item, most_rows=_MOST, most_waiting=_MOST)), ids, ms_a_batch=0)),
        maps=_maps(*_ids_of(ids), rounds=rounds),
    )


def _stream(table: Table, ids: int, *, ms_a_batch: int) -> Iterator[Level]:
    """Show a table new ids, publish after each batch, and let it forget once a decay period."""
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
    """Random ids, and as many others, all different."""
    rng = np.random.default_rng(2)
    drawn = np.unique(rng.integers(1, 2**63 - 1, 2 * count + 1_000))
    rng.shuffle(drawn)
    return drawn[:count], drawn[count : 2 * count]


def _maps(known: Ids, strangers: Ids, *, rounds: int) -> dict[str, Figures]:
    built = {name: _filled(make(), known) for name, make in _MAPS.items()}
    rng = np.random.default_rng(3)
    asked = cycle([known[rng.integers(0, len(known), _BATCH)] for _ in range(7)])
    calls = {name: clocked(lambda held=held: held.get(next(asked))) for name, (held, _, _) in built.items()}
    times = in_turns(calls, rounds=rounds, seed=1)
    return {
        name: Figures(
            lost=sum(int((held.get(ids) != values).sum()) for ids, values in _batches(known)),
            mistaken=sum(int((held.get(ids) != ABSENT).sum()) for ids, _ in _batches(strangers)),
            bytes_per_id=round(held_bytes / len(known), 1),
            inserts_per_s=round(len(known) / seconds),
            lookups_per_s=round(_BATCH / times[name].p50_ms * 1_000),
        )
        for name, (held, held_bytes, seconds) in built.items()
    }


def _filled(held: "IdMap | Sorted | Hashed", known: Ids) -> "tuple[IdMap | Sorted | Hashed, int, float]":
    """A map with all ids in; the bytes it takes, the seconds it took."""
    before = _resident_bytes()
    took_ms = sum(clocked(lambda ids=ids, values=values: held.put(ids, values))() for ids, values in _batches(known))
    return held, _resident_bytes() - before, took_ms / 1_000


def _batches(ids: Ids) -> Iterator[tuple[Ids, Indexes]]:
    for first in range(0, len(ids), _BATCH):
        yield ids[first : first + _BATCH], np.arange(first, min(first + _BATCH, len(ids)))


def _resident_bytes() -> int:
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # else what was freed before stands in for what is taken next
    return psutil.Process().memory_info().rss


def show(result: Result) -> None:
    """Print a row a map, then a row a level."""
    maps = Grid("map", "lost", "mistaken", "bytes an id", "inserts/s", "look-ups/s", title=f"{result.ids} ids")
    for name, each in result.maps.items():
        maps.add_row(name, *map(str, structs.astuple(each)))
    levels = Grid("ids seen", "by day: rows", "waiting", "MB", "at once: rows", "waiting", "MB")
    for slow, fast in zip(result.by_day, result.at_once, strict=True):
        cells = [str(cell) for each in (slow, fast) for cell in (each.rows, each.waiting, each.bytes // 1_000_000)]
        levels.add_row(str(slow.seen), *cells)
    console.print(maps, levels)


def main() -> int:
    """`headrace bench table`; 1 where an id is lost or mistaken."""
    parser = argparse.ArgumentParser(prog="headrace bench table", description=__doc__)
    parser.add_argument("--ids", type=int, default=10_000_000)
    parser.add_argument("--days", type=int, default=120, help="of event time in which the first table sees them")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", type=Path, default=RESULT)
    chosen = parser.parse_args()
    told = {"ids": chosen.ids, "days": chosen.days, "rounds": chosen.rounds}
    result = carry_out("table", lambda: measure(**told), chosen.output)
    show(result)
    return int(any(each.lost or each.mistaken for each in result.maps.values()))


if __name__ == "__main__":
    raise SystemExit(main())
