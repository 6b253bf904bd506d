"""A million events with faults among them, then random reads of every group against the oracle: (group, key, time).

While the log goes through the line the TaskManager is killed, then the loader, then the store is emptied. When all has
arrived, keys are drawn at random, half of them by how often they occur, and read at random times after the log's end,
up to nine days, so that windows empty one by one. Counts, sequences and ranks must be equal, floats to 1e-9.
"""

import argparse
import contextlib
import os
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
from msgspec import Struct
from numpy.random import Generator
from rich.console import Console

from benchmarks.harness import against_oracle
from benchmarks.harness.machine import Machine, this_machine
from benchmarks.harness.pipeline import Bed, bed, shipped
from benchmarks.harness.report import carry_out
from benchmarks.inputs.event_log import Log, Scale, make_log
from headrace.layout import FEATURES, REPOSITORY
from lang.events.touching import by_owner
from lang.executors.oracle import Oracle
from lang.expressions.per_event import Event
from lang.plan.plan import Group, Key
from lang.planner.load import load_plan
from schemas.topics import EVENT_PARTITIONS, EVENTS_CLEAN
from store.log import LogReader

RESULT = REPOSITORY / "benchmarks" / "results" / "faults.json"
READS, TIMES, WHOLE = 200, 12, 3
"""Reads in all, different times, and reads of a group that compares with all keys: its oracle folds the whole log."""
_LATEST_MS = 9 * 86_400_000
_ARRIVED_S, _LOOK_S = 1_800.0, 3.0
console = Console(stderr=True)


class Drawn(Struct, frozen=True):
    """One read, and what the oracle says."""

    at_ms: int
    expected: against_oracle.Expected


class Result(Struct, frozen=True):
    """What was done and what came of it."""

    machine: Machine
    events: int
    groups: int
    faults: list[str]
    reads: int
    values: int
    by_group: dict[str, int]
    mismatches: list[str]
    seconds: float


def measure(scale: Scale, *, seed: int) -> Result:
    """Write, break, wait, read.

    Raises:
        EnvironmentProblem: the line did not come up, or did not take the log in.
    """
    machine, names = this_machine(), [group.name for group in load_plan(FEATURES).groups]
    log = make_log(scale, tag=f"f{seed}", seed=seed, end_ms=time.time_ns() // 1_000_000)
    accepted = log.accepted()
    with bed(shipped(*names), say=console.print) as ground:
        begun = time.monotonic()
        ground.write_items(log)
        ground.write_events(log.event_records())
        console.print(f"{len(log.events)} records written")
        with contextlib.closing(_Clean(ground.endpoints.bootstrap)) as clean:
            faults = [_fault(ground, clean, len(accepted), share, victim) for share, victim in _VICTIMS]
            _come_in(ground, clean, len(accepted))
        _arrive(ground, log, accepted)
        seconds = time.monotonic() - begun
        console.print(f"all of it has arrived after {seconds:.0f} s")
        drawn = list(_draw(ground, log, accepted, np.random.default_rng(seed)))
        wrong = [sentence for each in drawn for sentence in _read(ground, each)]
    by_group = Counter(each.expected.group.name for each in drawn)
    values = sum(len(each.expected.values) for each in drawn)
    return Result(
        machine, len(log.events), len(names), faults, len(drawn), values, dict(by_group), wrong, round(seconds)
    )


_VICTIMS = ((0.2, "taskmanager"), (0.45, "loader"), (0.7, "redis"))


def _fault(ground: Bed, clean: "_Clean", events: int, share: float, victim: str) -> str:
    """Break one part once that share of the log is clean."""
    _come_in(ground, clean, round(share * events))
    if victim == "redis":
        ground.redis.flushall()
    else:
        os.kill(ground.supervisor.programs()[victim][1], signal.SIGKILL)
    told = f"{'FLUSHALL' if victim == 'redis' else 'kill -9 ' + victim} at {share:.0%}"
    console.print(told)
    return told


class _Clean:
    """How many records the clean topic holds; the markers of transactions count too."""

    def __init__(self, bootstrap: str) -> None:
        self._log = LogReader(bootstrap, EVENTS_CLEAN.name, {})

    def count(self) -> int:
        """Now."""
        return sum(self._log.bounds(partition)[1] for partition in range(EVENT_PARTITIONS))

    def close(self) -> None:
        """Leave the topic."""
        self._log.close()


def _come_in(ground: Bed, clean: _Clean, count: int) -> None:
    what = f"{count} clean records"
    ground.wait(lambda: clean.count() >= count, what, deadline_s=_ARRIVED_S, every_s=_LOOK_S)


def _arrive(ground: Bed, log: Log, accepted: list[Event]) -> None:
    """Wait until every family of every group holds as many events as the log gives it."""
    wanted = against_oracle.totals_of_log(ground.plan, accepted)

    def arrived() -> bool:
        return against_oracle.totals_of_store(ground.redis, ground.plan, accepted, tag=log.tag) == wanted

    ground.wait(arrived, f"the log {log.tag}", deadline_s=_ARRIVED_S, every_s=4 * _LOOK_S)


def _draw(ground: Bed, log: Log, accepted: list[Event], draw: Generator) -> "list[Drawn]":
    times = log.end_ms + (10 ** draw.uniform(0, np.log10(_LATEST_MS), TIMES)).astype(np.int64)
    groups = [*ground.plan.groups]
    whole = [group for group in groups if group.over_all]
    shares = {group.name: WHOLE for group in whole}
    left = READS - sum(shares.values())
    for number, group in enumerate(group for group in groups if not group.over_all):
        others = len(groups) - len(whole)
        shares[group.name] = left // others + (number < left % others)
    drawn: list[Drawn] = []
    for group in groups:
        concerning = by_owner(group, accepted)
        for key in _keys(group, accepted, concerning, shares[group.name], draw):
            at_ms = int(draw.choice(times))
            values = Oracle(group, concerning[key[0]]).read(key, at_ms=at_ms).values
            drawn.append(Drawn(at_ms, against_oracle.Expected(group, key, values)))
        console.print(f"{group.name}: {shares[group.name]} keys by the oracle")
    return drawn


def _keys(
    group: Group, accepted: list[Event], concerning: dict[str, list[Event]], count: int, draw: Generator
) -> list[Key]:
    """Half of them drawn by how often their first column occurs, half evenly."""
    keys = against_oracle.keys_of(group, accepted, concerning)
    weights = np.array([len(concerning[key[0]]) for key in keys], np.float64)
    often = draw.choice(len(keys), min(count // 2, len(keys)), replace=False, p=weights / weights.sum())
    rest = np.setdiff1d(np.arange(len(keys)), often)
    evenly = draw.choice(rest, min(count - len(often), len(rest)), replace=False)
    return [keys[place] for place in (*often.tolist(), *evenly.tolist())]


def _read(ground: Bed, drawn: Drawn) -> list[str]:
    read = against_oracle.read_store(ground.redis, at_ms=drawn.at_ms)
    return against_oracle.differences([drawn.expected], read, ratio=1e-9)


def main() -> int:
    """`python -m benchmarks.faults`."""
    parser = argparse.ArgumentParser(prog="headrace bench faults", description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path, default=RESULT)
    chosen = parser.parse_args()
    result = carry_out("faults", lambda: measure(Scale(chosen.events, users=20_000), seed=chosen.seed), chosen.output)
    out = Console()
    out.print(f"{result.events} records, {result.groups} groups; {', '.join(result.faults)}; {result.seconds:.0f} s")
    out.print(f"{result.reads} reads, {result.values} values: {len(result.mismatches)} mismatches")
    out.print("\n".join(result.mismatches[:20]))
    return 1 if result.mismatches else 0


if __name__ == "__main__":
    sys.exit(main())
