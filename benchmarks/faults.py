"""A million events with injected faults, then random reads of every group, compared with the oracle.

While the log passes through the pipeline, the benchmark kills the TaskManager, then the loader, then empties the store.
When everything has arrived, it reads random keys, half of them weighted by frequency, at random times up to nine days
after the end of the log, so that windows empty one by one. Counts, sequences and ranks must be equal, floats to 1e-9.
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
from benchmarks.harness.pipeline import RunningPipeline, running_pipeline, shipped_plan
from benchmarks.harness.report import run_and_save
from benchmarks.inputs.event_log import EventLog, Scale, make_log
from headrace.lang.events.touching import by_owner
from headrace.lang.executors.oracle import Oracle
from headrace.lang.expressions.per_event import Event
from headrace.lang.plan.plan import Group, Key
from headrace.lang.planner.load import load_plan
from headrace.layout import FEATURES, REPOSITORY
from headrace.schemas.times import now_ms
from headrace.schemas.topics import EVENT_PARTITIONS, EVENTS_CLEAN
from headrace.store.kafka.log import LogReader

RESULT = REPOSITORY / "benchmarks" / "results" / "faults.json"
READS, TIMES, WHOLE = 200, 12, 3
"""Total reads, distinct times, and reads of a group that compares with all keys, whose oracle folds the whole log."""
_LATEST_MS = 9 * 86_400_000
_ARRIVED_S, _LOOK_S = 1_800.0, 3.0
console = Console(stderr=True)


class RandomRead(Struct, frozen=True):
    """One read, and its values by the oracle."""

    at_ms: int
    expected: against_oracle.Expected


class Result(Struct, frozen=True):
    """The faults, the reads and the mismatches."""

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
    """Write the log, inject faults, wait for all features, and compare reads.

    Raises:
        EnvironmentProblem: the pipeline did not start, or did not process the log.
    """
    machine, names = this_machine(), [group.name for group in load_plan(FEATURES).groups]
    log = make_log(scale, tag=f"f{seed}", seed=seed, end_ms=now_ms())
    accepted = log.accepted()
    with running_pipeline(shipped_plan(*names), say=console.print) as pipeline:
        begun = time.monotonic()
        pipeline.write_items(log)
        pipeline.write_events(log.event_records())
        console.print(f"{len(log.events)} records written")
        with contextlib.closing(_CleanTopic(pipeline.endpoints.bootstrap)) as clean:
            faults = [_fault(pipeline, clean, len(accepted), share, victim) for share, victim in _FAULTS]
            _wait_for_clean(pipeline, clean, len(accepted))
        _wait_for_features(pipeline, log, accepted)
        seconds = time.monotonic() - begun
        console.print(f"the whole log arrived after {seconds:.0f} s")
        drawn = list(_draw(pipeline, log, accepted, np.random.default_rng(seed)))
        wrong = [sentence for each in drawn for sentence in _read(pipeline, each)]
    by_group = Counter(each.expected.group.name for each in drawn)
    values = sum(len(each.expected.values) for each in drawn)
    return Result(
        machine, len(log.events), len(names), faults, len(drawn), values, dict(by_group), wrong, round(seconds)
    )


_FAULTS = ((0.2, "taskmanager"), (0.45, "loader"), (0.7, "redis"))


def _fault(pipeline: RunningPipeline, clean: "_CleanTopic", events: int, share: float, victim: str) -> str:
    """Kill or empty one program when this share of the log is clean."""
    _wait_for_clean(pipeline, clean, round(share * events))
    if victim == "redis":
        pipeline.redis.flushall()
    else:
        os.kill(pipeline.supervisor.programs()[victim][1], signal.SIGKILL)
    fault = f"{'FLUSHALL' if victim == 'redis' else 'kill -9 ' + victim} at {share:.0%}"
    console.print(fault)
    return fault


class _CleanTopic:
    """The number of records in the clean topic, including transaction markers."""

    def __init__(self, bootstrap: str) -> None:
        self._log = LogReader(bootstrap, EVENTS_CLEAN.name, {})

    def count(self) -> int:
        """The current number."""
        return sum(self._log.bounds(partition)[1] for partition in range(EVENT_PARTITIONS))

    def close(self) -> None:
        """Close the reader."""
        self._log.close()


def _wait_for_clean(pipeline: RunningPipeline, clean: _CleanTopic, count: int) -> None:
    what = f"{count} clean records"
    pipeline.wait(lambda: clean.count() >= count, what, deadline_s=_ARRIVED_S, every_s=_LOOK_S)


def _wait_for_features(pipeline: RunningPipeline, log: EventLog, accepted: list[Event]) -> None:
    """Wait until every family of every group holds as many events as the log has for it."""
    wanted = against_oracle.totals_of_log(pipeline.plan, accepted)

    def arrived() -> bool:
        return against_oracle.totals_of_store(pipeline.redis, pipeline.plan, accepted, tag=log.tag) == wanted

    pipeline.wait(arrived, f"the log {log.tag}", deadline_s=_ARRIVED_S, every_s=4 * _LOOK_S)


def _draw(pipeline: RunningPipeline, log: EventLog, accepted: list[Event], draw: Generator) -> "list[RandomRead]":
    times = log.end_ms + (10 ** draw.uniform(0, np.log10(_LATEST_MS), TIMES)).astype(np.int64)
    groups = [*pipeline.plan.groups]
    whole = [group for group in groups if group.over_all]
    shares = {group.name: WHOLE for group in whole}
    left = READS - sum(shares.values())
    for number, group in enumerate(group for group in groups if not group.over_all):
        others = len(groups) - len(whole)
        shares[group.name] = left // others + (number < left % others)
    drawn: list[RandomRead] = []
    for group in groups:
        by_first_key = by_owner(group, accepted)
        for key in _keys(group, accepted, by_first_key, shares[group.name], draw):
            at_ms = int(draw.choice(times))
            values = Oracle(group, by_first_key[key[0]]).read(key, at_ms=at_ms).values
            drawn.append(RandomRead(at_ms, against_oracle.Expected(group, key, values)))
        console.print(f"{group.name}: {shares[group.name]} keys computed by the oracle")
    return drawn


def _keys(
    group: Group, accepted: list[Event], by_first_key: dict[str, list[Event]], count: int, draw: Generator
) -> list[Key]:
    """Draw keys, half of them weighted by the frequency of their first column, half uniformly."""
    keys = against_oracle.keys_of(group, accepted, by_first_key)
    weights = np.array([len(by_first_key[key[0]]) for key in keys], np.float64)
    weighted = draw.choice(len(keys), min(count // 2, len(keys)), replace=False, p=weights / weights.sum())
    rest = np.setdiff1d(np.arange(len(keys)), weighted)
    uniform = draw.choice(rest, min(count - len(weighted), len(rest)), replace=False)
    return [keys[index] for index in (*weighted.tolist(), *uniform.tolist())]


def _read(pipeline: RunningPipeline, drawn: RandomRead) -> list[str]:
    read = against_oracle.read_store(pipeline.redis, at_ms=drawn.at_ms)
    return against_oracle.differences([drawn.expected], read, ratio=1e-9)


def main() -> int:
    """`headrace bench faults`."""
    parser = argparse.ArgumentParser(prog="headrace bench faults", description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path, default=RESULT)
    chosen = parser.parse_args()
    result = run_and_save(
        "faults", lambda: measure(Scale(chosen.events, users=20_000), seed=chosen.seed), chosen.output
    )
    out = Console()
    out.print(f"{result.events} records, {result.groups} groups; {', '.join(result.faults)}; {result.seconds:.0f} s")
    out.print(f"{result.reads} reads, {result.values} values: {len(result.mismatches)} mismatches")
    out.print("\n".join(result.mismatches[:20]))
    return 1 if result.mismatches else 0


if __name__ == "__main__":
    sys.exit(main())
