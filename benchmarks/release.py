"""Promotions and rollbacks under 200 reads per second: failed reads, mixed reads, and the time until a decision shows.

A stack with serving answers `GET /v1/features` to several clients. A second version of one group, with one more
feature, is applied and filled, then promoted and rolled back repeatedly. A read is mixed if its features are not
exactly those of the version that it names. The time of a decision counts from before the command, including the gate.
"""

import argparse
import statistics
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct, structs
from rich.console import Console
from rich.table import Table

from benchmarks.harness.machine import Machine, this_machine
from benchmarks.harness.report import run_and_save
from headrace.client import ApiError, Client
from headrace.connections.redis_clients import connect
from headrace.features import release
from headrace.lang.plan.plan import Plan
from headrace.lang.planner.load import load_plan, parse_plan
from headrace.layout import FEATURES, REPOSITORY, Endpoints, Layout, Pace
from headrace.log.feature_versions import Registry
from headrace.schemas.events import Event
from headrace.schemas.times import now_ms
from headrace.serving.offline.log_writer import LogWriter
from headrace.stack import stack
from headrace.stack.flink_rest import FlinkRest
from headrace.wait import wait_until

RESULT = REPOSITORY / "benchmarks" / "results" / "release.json"
GROUP, CLIENTS, KEYS = "item_engagement", 4, 50
_SETTLE_S = 3.0
console = Console(stderr=True)


class Reading(Struct, frozen=True):
    """One read: its start (s, monotonic), its latency, and the version in the answer, 0 for a failure."""

    asked_s: float
    took_ms: float
    version: int


class Decision(Struct, frozen=True):
    """Times from before the command, ms: to its return, the first read of the new version, and the last of the old."""

    action: str
    verb_ms: int
    seen_ms: int
    gone_ms: int


class Result(Struct, frozen=True):
    """The result of one session."""

    machine: Machine
    reads: int
    reads_per_s: float
    failed: int
    mixed: int
    read_p50_ms: float
    read_p99_ms: float
    decisions: list[Decision]


class ReadLoad:
    """A context in which clients read at a constant rate."""

    def __init__(self, endpoints: Endpoints, names: dict[int, set[str]], *, rate_per_s: float) -> None:
        self.readings: list[Reading] = []
        self.mixed = 0
        self._endpoints, self._names, self._each_s = endpoints, names, CLIENTS / rate_per_s
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(CLIENTS)]

    def __enter__(self) -> "ReadLoad":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, number: int) -> None:
        with Client(self._endpoints.api_url, self._endpoints.token, retries=0) as client:
            due_s = time.monotonic() + number * self._each_s / CLIENTS
            while not self._stop.wait(max(due_s - time.monotonic(), 0)):
                self._read(client, f"i{len(self.readings) % KEYS}")
                due_s += self._each_s

    def _read(self, client: Client, item: str) -> None:
        asked_s, version = time.monotonic(), 0
        try:
            answer = client.read_features(GROUP, item)
            version = answer.version
            self.mixed += {each.name for each in answer.features} != self._names[version]
        except ApiError as error:
            console.print(f"read failed: {error}")
        self.readings.append(Reading(asked_s, (time.monotonic() - asked_s) * 1000, version))


def plans() -> tuple[Plan, Plan]:
    """The shipped groups, and the same groups with a second version of one."""
    files = {path.relative_to(FEATURES).as_posix(): path.read_text() for path in FEATURES.rglob("*.sql")}
    text = files[f"{GROUP}.sql"].replace("version 1", "version 2", 1)
    added = "approx_distinct(user_id) FILTER (WHERE event_type = 'click') OVER 24h AS clickers_24h,\n  avg(value)"
    return parse_plan(files), parse_plan(files | {f"{GROUP}.sql": text.replace("avg(value)", added, 1)})


def measure(turns: int, *, rate_per_s: float) -> Result:
    """Start a stack, release a second version, and alternate between the two versions.

    Raises:
        EnvironmentProblem: the stack did not start.
        UsageProblem: a release was refused.
    """
    machine, layout = this_machine(), Layout(REPOSITORY / ".headrace" / "bench")
    stack.stop(layout, wipe=True)
    try:
        endpoints = stack.up(layout, say=console.print, pace=Pace(), usual_ports=False)
        before, after = plans()
        _click(endpoints)
        second = _SecondVersion(endpoints, after)
        names = {plan.group(GROUP).version: {f.name for f in plan.group(GROUP).features} for plan in (before, after)}
        with ReadLoad(endpoints, names, rate_per_s=rate_per_s) as readers:
            begun_s = time.monotonic()
            time.sleep(_SETTLE_S)
            decisions = [
                decision
                for _ in range(turns)
                for decision in (
                    _decide(readers, 2, "promote", second.promote),
                    _decide(readers, 1, "rollback", second.rollback),
                )
            ]
            seconds = time.monotonic() - begun_s
    finally:
        stack.stop(layout, wipe=True)
    took = sorted(reading.took_ms for reading in readers.readings)
    return Result(
        machine=machine,
        reads=len(took),
        reads_per_s=round(len(took) / seconds, 1),
        failed=sum(reading.version == 0 for reading in readers.readings),
        mixed=readers.mixed,
        read_p50_ms=round(statistics.median(took), 1),
        read_p99_ms=round(took[int(len(took) * 0.99)], 1),
        decisions=decisions,
    )


class _SecondVersion:
    """A second version of the group, applied and filled."""

    def __init__(self, endpoints: Endpoints, after: Plan) -> None:
        self._registry, self._client = Registry(endpoints, who="bench"), connect(endpoints.redis_url)
        rest, found = FlinkRest(endpoints.flink_url), release.plan_release(after, self._registry.versions())
        (version,) = release.apply_release(self._registry, rest, found, why="bench")
        self._version = release.backfill_version(self._registry, rest, endpoints, version, since="all")

    def promote(self) -> None:
        """Promote the version through the gate."""
        release.promote_version(self._registry, self._client, self._version, why="bench")

    def rollback(self) -> None:
        """Roll back to the first version."""
        self._registry.rollback(GROUP, why="bench")


def _click(endpoints: Endpoints) -> None:
    """Write clicks on the items that are read, as a trusted producer."""
    writer, now = LogWriter(endpoints.bootstrap, load_plan(FEATURES).event_source), now_ms()
    plain = Event(event_id="", user_id="u1", event_type="click", occurred_at=now, received_at=now)
    for number in range(KEYS * 4):
        writer.write(structs.replace(plain, event_id=f"bench-{number}", item_id=f"i{number % KEYS}"))
    writer.close(now + 1)


def _decide(readers: ReadLoad, version: int, action: str, verb: Callable[[], object]) -> Decision:
    begun_s = time.monotonic()
    verb()
    returned_s = time.monotonic()
    hint = "Look at serving.log."
    wait_until(lambda: readers.readings[-1].version == version, what=f"version {version}", deadline_s=30, hint=hint)
    time.sleep(_SETTLE_S)
    since = [reading for reading in readers.readings if reading.asked_s >= begun_s]
    seen_s = min(reading.asked_s for reading in since if reading.version == version)
    gone_s = max((reading.asked_s for reading in since if reading.version not in (0, version)), default=begun_s)
    times = (returned_s - begun_s, seen_s - begun_s, gone_s - begun_s)
    return Decision(action, *(round(each * 1000) for each in times))


def main() -> int:
    """`headrace bench release`."""
    parser = argparse.ArgumentParser(prog="headrace bench release", description=__doc__)
    parser.add_argument("--turns", type=int, default=5, help="promotions, each followed by a rollback")
    parser.add_argument("--rate", type=float, default=200.0, help="reads per second")
    parser.add_argument("--output", type=Path, default=RESULT)
    chosen = parser.parse_args()
    result = run_and_save("release", lambda: measure(chosen.turns, rate_per_s=chosen.rate), chosen.output)
    show(result)
    return 0


def show(result: Result) -> None:
    """Print the reads, and one row per decision."""
    out, table = Console(), Table("decision", "command ms", "first new ms", "last old ms", box=None)
    for each in result.decisions:
        table.add_row(each.action, str(each.verb_ms), str(each.seen_ms), str(each.gone_ms))
    took = f"p50 {result.read_p50_ms} ms, p99 {result.read_p99_ms} ms"
    errors = f"{result.failed} failed, {result.mixed} mixed"
    out.print(f"{result.reads} reads at {result.reads_per_s}/s, {took}: {errors}")
    out.print(table)


if __name__ == "__main__":
    sys.exit(main())
