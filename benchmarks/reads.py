"""Reads of 1 to 500 entities with fifty features: the product, which merges tiles on read, and Feast with Redis.

One redis-server holds the items (benchmarks/inputs/wide.py) in one database, their finished values as Feast keeps them
in another, and as plain bytes in a third. Those are the floor: one HMGET per entity and `frombuffer`. Before the
measurement, Feast's values must equal the product's. The contenders are interleaved. Feast is timed in its own process:
`feast` ends with its answer, `feast to_dict` with Python values.
"""

import argparse
import gc
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import cast

import numpy as np
import redis
from msgspec import Struct
from rich.console import Console
from rich.table import Table

from benchmarks.harness.interleaved import Times, time_interleaved, timed
from benchmarks.harness.machine import Machine, this_machine
from benchmarks.harness.report import run_and_save
from benchmarks.inputs.spread import Spread, spread_of
from benchmarks.inputs.wide import Crowd, Item, make_crowd, wide_group
from benchmarks.peers import feast_peer
from benchmarks.peers.redis_layouts import OneRecord
from headrace.connections.redis_clients import connect
from headrace.errors import EnvironmentProblem
from headrace.lang.plan.plan import Group
from headrace.layout import REPOSITORY
from headrace.stack import redis_server
from headrace.store.redis.reader import FeatureReader, FeatureRequest, FeatureValues

RESULT = REPOSITORY / "benchmarks" / "results" / "reads.json"
CROWDS: tuple[Crowd, ...] = ("usual", "busy")
_ENTITIES = (1, 10, 100, 500)
_FLOOR = 2  # the database of the floor
_AT_MS = 1_800_000_000_000
console = Console(stderr=True, highlight=False)


class Reads(Struct, frozen=True):
    """Reads of a number of entities, by contender.

    Attributes:
        feast_to_ours_p50, feast_to_ours_p99: time of Feast divided by that of the product, `usual` items.
    """

    entities: int
    times: dict[str, Times]
    feast_to_ours_p50: float
    feast_to_ours_p99: float


class Result(Struct, frozen=True):
    """All results; `bytes`: MEMORY USAGE of an entity, by contender."""

    machine: Machine
    rounds: int
    tiles: dict[str, Spread]
    bytes: dict[str, Spread]
    reads: list[Reads]


class Setup:
    """A Redis with the items of every contender."""

    def __init__(self, port: int, group: Group, items: int) -> None:
        self.group = group
        server = f"redis://127.0.0.1:{port}"
        self.client, self.floor = connect(server), connect(f"{server}/{_FLOOR}")
        self.feast = connect(f"{server}/{feast_peer.DATABASE}")
        self.reader = FeatureReader(self.client)
        self.crowds: dict[Crowd, list[Item]] = {
            crowd: make_crowd(group, crowd, items, at_ms=_AT_MS, seed=1) for crowd in CROWDS
        }
        layout = OneRecord(self.client, group)
        for crowd in self.crowds.values():
            for item in crowd:
                layout.write(item.rows, clock=_AT_MS)
        numbers = self.read("usual", items).merged.numbers
        self.columns: dict[str, list[float]] = {name: column.tolist() for name, column in numbers.items()}
        for name, row in zip(self.names("usual"), np.stack(list(numbers.values()), axis=1), strict=True):
            self.floor.hset(name, "v", row.tobytes())

    def names(self, crowd: Crowd) -> list[str]:
        """The names of the items of a crowd."""
        return [item.name for item in self.crowds[crowd]]

    def read(self, crowd: Crowd, entities: int) -> FeatureValues:
        """Read with the product's reader."""
        (values,) = self.reader.read([FeatureRequest(self.group, self.names(crowd)[:entities])], at_ms=_AT_MS)
        return values

    def read_floor(self, entities: int) -> np.ndarray:
        """Read finished values, (entities, features)."""
        pipeline = self.floor.pipeline(transaction=False)
        for name in self.names("usual")[:entities]:
            pipeline.execute_command("HMGET", name, "v")
        found = cast("list[list[bytes]]", pipeline.execute())
        return np.frombuffer(b"".join(value for (value,) in found)).reshape(entities, -1)

    def bytes(self) -> dict[str, Spread]:
        """MEMORY USAGE of an entity; Feast and the floor keep one key per entity."""
        usage: dict[str, list[int]] = {}
        for crowd in CROWDS:
            keys = [OneRecord(self.client, self.group).key(name) for name in self.names(crowd)]
            usage[f"ours, {crowd}"] = _usage(self.client, keys)
        usage["feast"] = _usage(self.feast, self.feast.keys())
        usage["floor"] = _usage(self.floor, self.floor.keys())
        return {name: spread_of(each) for name, each in usage.items()}


def _usage(client: redis.Redis, keys: list[str]) -> list[int]:
    return [int(client.memory_usage(key) or 0) for key in keys]


def measure(*, items: int, rounds: int) -> Result:
    """Run every contender.

    Raises:
        EnvironmentProblem: Feast did not start, or reads other values than were written.
    """
    machine, group = this_machine(), wide_group()
    with tempfile.TemporaryDirectory() as folder, redis_server.running(Path(folder)) as port:
        setup = Setup(port, group, items)
        with feast_peer.feast(port, Path(folder), names=setup.names("usual"), columns=setup.columns) as peer:
            ours = {name: column[0] for name, column in setup.columns.items()}
            if peer.first != ours or len(ours) != len(group.features):
                message = f"Feast reads {peer.first}, but {ours} was written"
                raise EnvironmentProblem(message)
            gc.collect()
            gc.freeze()  # exclude the benchmark's items from garbage collection; no real reader holds them
            reads = [_reads(setup, peer, entities, rounds=rounds) for entities in _ENTITIES]
            tiles = {crowd: spread_of([len(item.rows) for item in setup.crowds[crowd]]) for crowd in CROWDS}
            return Result(machine, rounds, tiles, setup.bytes(), reads)


def _reads(setup: Setup, peer: feast_peer.Feast, entities: int, *, rounds: int) -> Reads:
    contenders: dict[str, Callable[[], float]] = {
        "ours, usual": timed(lambda: setup.read("usual", entities)),
        "ours, busy": timed(lambda: setup.read("busy", entities)),
        "feast": lambda: peer.read_ms("proto", entities),
        "feast to_dict": lambda: peer.read_ms("dict", entities),
        "floor": timed(lambda: setup.read_floor(entities)),
    }
    times = time_interleaved(contenders, rounds=rounds, seed=entities)
    ours, feast = times["ours, usual"], times["feast"]
    p50_ratio, p99_ratio = feast.p50_ms / ours.p50_ms, feast.p99_ms / ours.p99_ms
    return Reads(entities, times, round(p50_ratio, 1), round(p99_ratio, 1))


def _show(result: Result) -> None:
    names = list(result.reads[0].times)
    columns = ("entities", *names, "feast / ours")
    table = Table(*columns, title="read latency of fifty features, p50 / p99 ms")
    for reads in result.reads:
        cells = [f"{reads.times[name].p50_ms} / {reads.times[name].p99_ms}" for name in names]
        cells.append(f"{reads.feast_to_ours_p50} / {reads.feast_to_ours_p99}")
        table.add_row(str(reads.entities), *cells)
    table.add_section()
    spreads = [result.bytes.get(name) for name in names]
    table.add_row("bytes: median, max", *[f"{each.median}, {each.most}" if each else "" for each in spreads])
    console.print(table)


def main() -> None:
    """`headrace bench reads`."""
    parser = argparse.ArgumentParser(prog="headrace bench reads")
    parser.add_argument("--items", type=int, default=600, help="number of items of each crowd")
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--output", type=Path, default=RESULT)
    chosen = parser.parse_args()
    result = run_and_save("reads", lambda: measure(items=chosen.items, rounds=chosen.rounds), chosen.output)
    _show(result)


if __name__ == "__main__":
    main()
