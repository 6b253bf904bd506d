"""Three layouts of an entity's tiles in Redis: reads, bytes and writes, interleaved on one server.

The contenders (`peers.redis_layouts`) hold the same items with fifty features (`inputs.wide`). A read ends with the
arrays that `lang/executors/merge.py` needs. Before the measurement, all contenders must return the same tiles. Writes
are like the loader's: a batch of events, each of which updates one tile of every size.
"""

import argparse
import gc
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import redis
from msgspec import Struct
from rich.console import Console
from rich.table import Table

from benchmarks.harness.interleaved import Times, time_interleaved, timed
from benchmarks.harness.machine import Machine, this_machine
from benchmarks.harness.report import run_and_save
from benchmarks.inputs.spread import Spread, spread_of
from benchmarks.inputs.wide import FIFTY, Crowd, Item, make_crowd, one_tile_group, wide_group
from benchmarks.peers.redis_layouts import FieldPerFamily, FieldPerTile, OneRecord, TileLayout
from headrace.connections.redis_clients import connect
from headrace.errors import EnvironmentProblem
from headrace.lang.executors.fold import TileRow
from headrace.lang.plan.plan import HEADER_CELLS, Group
from headrace.layout import REPOSITORY
from headrace.stack import redis_server

RESULT = REPOSITORY / "benchmarks" / "results" / "layout.json"
CROWDS: tuple[Crowd, ...] = ("usual", "busy")
_ENTITIES = (1, 10, 100, 500)
_EVENTS = 1_000  # events in a batch of the loader
_FILL = 20_000
_AT_MS = 1_800_000_000_000
console = Console(stderr=True, highlight=False)


class Reads(Struct, frozen=True):
    """Reads of a number of entities, by contender."""

    crowd: Crowd
    entities: int
    times: dict[str, Times]


class Result(Struct, frozen=True):
    """All results; `bytes` by crowd and contender, `fifty_bytes`: bytes of fifty values in one tile."""

    machine: Machine
    tiles: dict[Crowd, Spread]
    bytes: dict[Crowd, dict[str, Spread]]
    fifty_bytes: dict[str, int]
    tiles_per_s: dict[str, int]
    reads: list[Reads]


def measure(*, items: int, rounds: int) -> Result:
    """Run every contender on a Redis server of this benchmark."""
    machine, group = this_machine(), wide_group()
    crowds = {crowd: make_crowd(group, crowd, items, at_ms=_AT_MS, seed=1) for crowd in CROWDS}
    with tempfile.TemporaryDirectory() as folder, redis_server.running(Path(folder)) as port:
        client = connect(f"redis://127.0.0.1:{port}")
        layouts: dict[str, TileLayout] = {
            "field a tile": FieldPerTile(client, group),
            "field a family": FieldPerFamily(client, group),
            "one record": OneRecord(client, group),
        }
        for crowd in crowds.values():
            _fill(layouts, group, crowd)
        gc.collect()
        gc.freeze()  # exclude the benchmark's millions of objects from garbage collection; no real reader holds them
        return Result(
            machine=machine,
            tiles={crowd: spread_of([len(item.rows) for item in crowds[crowd]]) for crowd in CROWDS},
            bytes={crowd: _bytes(client, layouts, crowds[crowd]) for crowd in CROWDS},
            fifty_bytes=_fifty_bytes(client),
            reads=[
                _reads(layouts, crowd, crowds[crowd][:entities], rounds=rounds)
                for crowd in CROWDS
                for entities in _ENTITIES
            ],
            tiles_per_s=_writes(layouts, crowds["usual"], batches=rounds),
        )


def _fill(layouts: Mapping[str, TileLayout], group: Group, items: list[Item]) -> None:
    rows = [row for item in items for row in item.rows]
    for layout in layouts.values():
        for first in range(0, len(rows), _FILL):
            layout.write(rows[first : first + _FILL], clock=_AT_MS)
    names = [item.name for item in items]
    found = {name: _tiles(layout, group, names) for name, layout in layouts.items()}
    if any(tiles != found["one record"] for tiles in found.values()):
        message = f"the layouts {', '.join(found)} return different tiles: one in peers/redis_layouts.py is wrong"
        raise EnvironmentProblem(message)


def _tiles(layout: TileLayout, group: Group, names: list[str]) -> set[tuple[float, ...]]:
    """Every tile, with NaN replaced by -1 so that tiles can be compared."""
    block = layout.read(names)
    values = np.nan_to_num(block.values, nan=-1.0).tolist()
    width = {size: HEADER_CELLS + len(family.partials) for family in group.families for size in family.sizes_ms}
    tiles = zip(*(each.tolist() for each in (block.key, block.size_ms, block.start_ms, block.at)), strict=True)
    return {(key, size, start, *values[at : at + width[size]]) for key, size, start, at in tiles}


def _bytes(client: redis.Redis, layouts: Mapping[str, TileLayout], items: list[Item]) -> dict[str, Spread]:
    return {
        name: spread_of([int(client.memory_usage(layout.key(item.name)) or 0) for item in items])
        for name, layout in layouts.items()
    }


def _fifty_bytes(client: redis.Redis) -> dict[str, int]:
    """Bytes of one entity: decayed values take one tile in the first epoch and two later; lifetime values take one."""
    decayed = one_tile_group("decayed", "decayed_count(*, half_life => '7 days') {filter}")
    lifetime = one_tile_group("for_ever", "count(*) {filter} OVER lifetime")
    return {
        "decayed, one tile": _bytes_of(client, decayed, tiles=1),
        "decayed, two tiles": _bytes_of(client, decayed, tiles=2),
        "lifetime": _bytes_of(client, lifetime, tiles=1),
    }


def _bytes_of(client: redis.Redis, group: Group, *, tiles: int) -> int:
    layout, (size_ms,) = OneRecord(client, group), group.families[0].sizes_ms
    newest_ms = _AT_MS - _AT_MS % size_ms
    cells = (1.0, float(_AT_MS), *[0.5] * FIFTY)
    layout.write([TileRow(("item",), size_ms, newest_ms - n * size_ms, cells) for n in range(tiles)], clock=_AT_MS)
    used = int(client.memory_usage(layout.key("item")) or 0)
    client.delete(layout.key("item"))
    return used


def _reads(layouts: Mapping[str, TileLayout], crowd: Crowd, items: list[Item], *, rounds: int) -> Reads:
    names = [item.name for item in items]
    contenders = {name: timed(lambda layout=layout: layout.read(names)) for name, layout in layouts.items()}
    return Reads(crowd, len(items), time_interleaved(contenders, rounds=rounds, seed=len(items)))


def _writes(layouts: Mapping[str, TileLayout], items: list[Item], *, batches: int) -> dict[str, int]:
    """Tiles per second of the median batch; each batch goes to every contender before the next batch."""
    rng = np.random.default_rng(2)
    weights = np.array([len(item.rows) for item in items], dtype=np.float64)
    took: dict[str, list[float]] = {name: [] for name in layouts}
    for number in range(1, batches + 1):
        chosen = rng.choice(len(items), _EVENTS, p=weights / weights.sum())
        tiles = [_newer(row, number) for index in dict.fromkeys(chosen.tolist()) for row in _newest(items[index])]
        for name, layout in layouts.items():
            begun = time.perf_counter()
            layout.write(tiles, clock=_AT_MS)
            took[name].append(len(tiles) / (time.perf_counter() - begun))
    return {name: round(float(np.median(rates))) for name, rates in took.items()}


def _newest(item: Item) -> list[TileRow]:
    """The newest tile of each size."""
    return list({row.size_ms: row for row in item.rows}.values())


def _newer(row: TileRow, events: int) -> TileRow:
    return TileRow(row.key, row.size_ms, row.start_ms, (row.cells[0] + events, *row.cells[1:]))


def _show(result: Result) -> None:
    table = Table("entities", *next(iter(result.reads)).times, title="read latency, p50 / p99 ms")
    for reads in result.reads:
        cells = [f"{times.p50_ms} / {times.p99_ms}" for times in reads.times.values()]
        table.add_row(f"{reads.entities} {reads.crowd}", *cells)
    for crowd, spreads in result.bytes.items():
        table.add_row(f"bytes, {crowd}: median, max", *[f"{each.median}, {each.most}" for each in spreads.values()])
    table.add_row("tiles written per second", *map(str, result.tiles_per_s.values()))
    console.print(table)
    console.print(f"bytes of fifty values: {result.fifty_bytes}")


def main() -> None:
    """`headrace bench layout`."""
    parser = argparse.ArgumentParser(prog="headrace bench layout")
    parser.add_argument("--items", type=int, default=600, help="number of items of each crowd")
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--output", type=Path, default=RESULT)
    chosen = parser.parse_args()
    result = run_and_save("layout", lambda: measure(items=chosen.items, rounds=chosen.rounds), chosen.output)
    _show(result)


if __name__ == "__main__":
    main()
