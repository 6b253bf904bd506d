"""Reads of 1 to 500 entities with fifty features: ours, merged from tiles at the read, beside Feast with Redis.

One redis-server; our items (benchmarks/inputs/wide.py) in one database of it, in another their finished values as Feast
keeps them, in a third as plain bytes: the floor, one HMGET an entity and `frombuffer`. Before the clock runs, Feast's
values are held to ours. The contenders take turns. Feast is timed in its own process: `feast` until its
answer is there, `feast to_dict` until its values are Python's.
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

from benchmarks.harness.interleaved import Times, clocked, in_turns
from benchmarks.harness.machine import Machine, this_machine
from benchmarks.harness.report import carry_out
from benchmarks.inputs.spread import Spread, spread_of
from benchmarks.inputs.wide import Crowd, Item, crowd_of, wide_group
from benchmarks.peers import feast_peer
from benchmarks.peers.redis_layouts import OneRecord
from headrace.errors import EnvironmentProblem
from headrace.layout import REPOSITORY
from headrace.stack import redis_server
from lang.plan.plan import Group
from store.connect import connect
from store.reader import FeatureReader, Values, Wanted

RESULT = REPOSITORY / "benchmarks" / "results" / "reads.json"
CROWDS: tuple[Crowd, ...] = ("usual", "busy")
_ENTITIES = (1, 10, 100, 500)
_FLOOR = 2  # the database of the floor
_AT_MS = 1_800_000_000_000
console = Console(stderr=True, highlight=False)


class Reads(Struct, frozen=True):
    """Reads of so many entities, by contender.

    Attributes:
        feast_to_ours_p50, feast_to_ours_p99: how many times as long Feast took as ours, usual.
    """

    entities: int
    times: dict[str, Times]
    feast_to_ours_p50: float
    feast_to_ours_p99: float


class Result(Struct, frozen=True):
    """All that was measured; `bytes` of an entity, MEMORY USAGE, by contender."""

    machine: Machine
    rounds: int
    tiles: dict[str, Spread]
    bytes: dict[str, Spread]
    reads: list[Reads]


class Ground:
    """A Redis with every contender's items."""

    def __init__(self, port: int, group: Group, items: int) -> None:
        self.group = group
        server = f"redis://127.0.0.1:{port}"
        self.client, self.floor = connect(server), connect(f"{server}/{_FLOOR}")
        self.feast = connect(f"{server}/{feast_peer.DATABASE}")
        self.reader = FeatureReader(self.client)
        self.crowds: dict[Crowd, list[Item]] = {
            crowd: crowd_of(group, crowd, items, at_ms=_AT_MS, seed=1) for crowd in CROWDS
        }
        shape = OneRecord(self.client, group)
        for crowd in self.crowds.values():
            for item in crowd:
                shape.write(item.rows, clock=_AT_MS)
        numbers = self.read("usual", items).merged.numbers
        self.columns: dict[str, list[float]] = {name: column.tolist() for name, column in numbers.items()}
        for name, row in zip(self.names("usual"), np.stack(list(numbers.values()), axis=1), strict=True):
            self.floor.hset(name, "v", row.tobytes())

    def names(self, crowd: Crowd) -> list[str]:
        """The items of a crowd."""
        return [item.name for item in self.crowds[crowd]]

    def read(self, crowd: Crowd, entities: int) -> Values:
        """Ours."""
        (values,) = self.reader.read([Wanted(self.group, self.names(crowd)[:entities])], at_ms=_AT_MS)
        return values

    def read_floor(self, entities: int) -> np.ndarray:
        """Finished values, (entities, features)."""
        pipeline = self.floor.pipeline(transaction=False)
        for name in self.names("usual")[:entities]:
            pipeline.execute_command("HMGET", name, "v")
        found = cast("list[list[bytes]]", pipeline.execute())
        return np.frombuffer(b"".join(value for (value,) in found)).reshape(entities, -1)

    def bytes(self) -> dict[str, Spread]:
        """MEMORY USAGE of an entity; Feast keeps one key an entity, the floor too."""
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
        EnvironmentProblem: Feast did not start, or reads other values than it was told.
    """
    machine, group = this_machine(), wide_group()
    with tempfile.TemporaryDirectory() as folder, redis_server.running(Path(folder)) as port:
        ground = Ground(port, group, items)
        with feast_peer.feast(port, Path(folder), names=ground.names("usual"), columns=ground.columns) as peer:
            ours = {name: column[0] for name, column in ground.columns.items()}
            if peer.first != ours or len(ours) != len(group.features):
                message = f"Feast reads {peer.first} where it was told {ours}"
                raise EnvironmentProblem(message)
            gc.collect()
            gc.freeze()  # the items are the benchmark's, no reader holds them
            reads = [_reads(ground, peer, entities, rounds=rounds) for entities in _ENTITIES]
            tiles = {crowd: spread_of([len(item.rows) for item in ground.crowds[crowd]]) for crowd in CROWDS}
            return Result(machine, rounds, tiles, ground.bytes(), reads)


def _reads(ground: Ground, peer: feast_peer.Feast, entities: int, *, rounds: int) -> Reads:
    contenders: dict[str, Callable[[], float]] = {
        "ours, usual": clocked(lambda: ground.read("usual", entities)),
        "ours, busy": clocked(lambda: ground.read("busy", entities)),
        "feast": lambda: peer.read_ms("proto", entities),
        "feast to_dict": lambda: peer.read_ms("dict", entities),
        "floor": clocked(lambda: ground.read_floor(entities)),
    }
    times = in_turns(contenders, rounds=rounds, seed=entities)
    ours, feast = times["ours, usual"], times["feast"]
    p50_ratio, p99_ratio = feast.p50_ms / ours.p50_ms, feast.p99_ms / ours.p99_ms
    return Reads(entities, times, round(p50_ratio, 1), round(p99_ratio, 1))


def _show(result: Result) -> None:
    names = list(result.reads[0].times)
    columns = ("entities", *names, "feast to ours")
    table = Table(*columns, title="reads of fifty features, p50 / p99 ms")
    for reads in result.reads:
        cells = [f"{reads.times[name].p50_ms} / {reads.times[name].p99_ms}" for name in names]
        cells.append(f"{reads.feast_to_ours_p50} / {reads.feast_to_ours_p99}")
        table.add_row(str(reads.entities), *cells)
    table.add_section()
    spreads = [result.bytes.get(name) for name in names]
    table.add_row("bytes: median, most", *[f"{each.median}, {each.most}" if each else "" for each in spreads])
    console.print(table)


def main() -> None:
    """`headrace bench reads`."""
    parser = argparse.ArgumentParser(prog="headrace bench reads")
    parser.add_argument("--items", type=int, default=600, help="of each crowd")
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--output", type=Path, default=RESULT)
    chosen = parser.parse_args()
    result = carry_out("reads", lambda: measure(items=chosen.items, rounds=chosen.rounds), chosen.output)
    _show(result)


if __name__ == "__main__":
    main()
