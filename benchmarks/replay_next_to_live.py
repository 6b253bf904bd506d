"""A log replayed from a time next to live traffic: are the values equal, and what do readers and live events notice?

A stack with serving has a history of an hour on its log. Clients read features at a constant rate and send events. Then
one group is computed again from a time (its version alone is raised), while `events` is copied from the same time to
another topic. Reads of the live version are timed before and during both. At the end the traffic stops, and all keys of
the two versions are compared.
"""

import argparse
import contextlib
import statistics
import sys
import threading
import time
from pathlib import Path

import numpy as np
from msgspec import Struct
from rich.console import Console

from benchmarks.harness.machine import Machine, this_machine
from benchmarks.harness.report import run_and_save
from benchmarks.release import GROUP, KEYS, Reading, ReadLoad
from headrace.client import ApiError, Client
from headrace.connections.redis_clients import connect
from headrace.errors import EnvironmentProblem
from headrace.features import release
from headrace.features.parity import Parity, compare
from headrace.lang.planner.load import load_plan, parse_plan, read_texts
from headrace.layout import FEATURES, REPOSITORY, Endpoints, Layout, Pace
from headrace.log.feature_versions import Registry
from headrace.replay.topic_replay import ReplayRequest, replay_topic
from headrace.schemas.events import Event
from headrace.schemas.times import now_ms
from headrace.schemas.topics import EVENTS
from headrace.serving.offline.log_writer import LogWriter
from headrace.stack import stack
from headrace.stack.flink_rest import FlinkRest
from headrace.store.versions import Version
from headrace.wait import wait_until

RESULT = REPOSITORY / "benchmarks" / "results" / "replay_next_to_live.json"
_HISTORY_MS, _BATCH_S, _ALL_KEYS = 3_600_000, 0.25, 1_000_000
_QUIET_S = 12.0  # longer than what a comparison leaves out as too recent
console = Console(stderr=True)


class Reads(Struct, frozen=True):
    """Reads of the live version in one phase."""

    reads: int
    failed: int
    p50_ms: float
    p99_ms: float


class Result(Struct, frozen=True):
    """Times and counts of the replay, reads before and during it, and the comparison of all keys."""

    machine: Machine
    history: int
    live_events: int
    live_refused: int
    before: Reads
    during: Reads
    replay_s: float
    copied: int
    copy_s: float
    alike: int
    unlike: int
    missing: int


class EventLoad:
    """A context in which a client sends events at a constant rate."""

    def __init__(self, endpoints: Endpoints, *, rate_per_s: float) -> None:
        self.sent = self.refused = 0
        self._endpoints, self._size = endpoints, max(round(rate_per_s * _BATCH_S), 1)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "EventLoad":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        with Client(self._endpoints.api_url, self._endpoints.token, retries=0) as client:
            while not self._stop.wait(_BATCH_S):
                try:
                    answer = client.send_events(
                        _events(self.sent, self._size, first_ms=now_ms(), span_ms=1, tag="live")
                    )
                    self.sent += answer.accepted
                except ApiError:
                    self.refused += self._size


def _events(first: int, count: int, *, first_ms: int, span_ms: int, tag: str) -> list[Event]:
    draw = np.random.default_rng(first)
    kinds = draw.choice(("impression", "click", "dwell"), count, p=(0.6, 0.3, 0.1)).tolist()
    at = (first_ms + np.sort(draw.integers(0, span_ms, count))).tolist()
    items, users = draw.integers(0, KEYS * 20, count).tolist(), draw.integers(0, 5_000, count).tolist()
    return [
        Event(
            event_id=f"{tag}-{first + number}",
            user_id=f"u{users[number]}",
            item_id=f"i{items[number]}",
            event_type=kinds[number],
            occurred_at=at[number],
            received_at=at[number],
            value=float(number % 300) if kinds[number] == "dwell" else None,
        )
        for number in range(count)
    ]


def measure(history: int, *, rate_per_s: float, events_per_s: float, settle_s: float) -> Result:
    """Start a stack, write the history, and replay it next to the load.

    Raises:
        EnvironmentProblem: the stack did not start, or did not process the log.
    """
    machine, layout = this_machine(), Layout(REPOSITORY / ".headrace" / "bench")
    stack.stop(layout, wipe=True)
    try:
        endpoints = stack.up(layout, say=console.print, pace=Pace(), usual_ports=False)
        since_ms = _write_history(endpoints, history)
        names = {feature.name for feature in load_plan(FEATURES).group(GROUP).features}
        readers = ReadLoad(endpoints, {1: names}, rate_per_s=rate_per_s)
        sender = EventLoad(endpoints, rate_per_s=events_per_s)
        with readers, sender:
            time.sleep(settle_s)
            begun_s = time.monotonic()
            version = _compute_again(endpoints, since_ms)
            replay_s = time.monotonic() - begun_s
            copied, copy_s = _copy(endpoints, since_ms)
            ended_s = time.monotonic()
        time.sleep(_QUIET_S)
        parity = _compare(endpoints, version)
    finally:
        stack.stop(layout, wipe=True)
    return Result(
        machine=machine,
        history=history,
        live_events=sender.sent,
        live_refused=sender.refused,
        before=_reads([each for each in readers.readings if each.asked_s < begun_s]),
        during=_reads([each for each in readers.readings if begun_s <= each.asked_s < ended_s]),
        replay_s=round(replay_s, 1),
        copied=copied,
        copy_s=round(copy_s, 1),
        alike=parity.alike,
        unlike=parity.unlike,
        missing=parity.missing,
    )


def _write_history(endpoints: Endpoints, count: int) -> int:
    """Write events of the last hour as a trusted producer; returns the time from which they are on the log."""
    since_ms, writer = now_ms(), LogWriter(endpoints.bootstrap, load_plan(FEATURES).event_source)
    first_ms = since_ms - _HISTORY_MS
    for event in _events(0, count, first_ms=first_ms, span_ms=_HISTORY_MS, tag="history"):
        writer.write(event)
    writer.close(now_ms())
    return since_ms


def _compute_again(endpoints: Endpoints, since_ms: int) -> Version:
    """Raise the group's version, and wait until the new one has read the log from a time."""
    files = read_texts(FEATURES)
    files[f"{GROUP}.sql"] = files[f"{GROUP}.sql"].replace("version 1", "version 2", 1)
    registry, rest = Registry(endpoints, who="bench"), FlinkRest(endpoints.flink_url)
    found = release.plan_release(parse_plan(files), registry.versions())
    (version,) = release.apply_release(registry, rest, found, why="bench", since=str(since_ms))
    return release.backfill_version(registry, rest, endpoints, version, since=str(since_ms))


def _copy(endpoints: Endpoints, since_ms: int) -> tuple[int, float]:
    begun_s = time.monotonic()
    request = ReplayRequest(topic=EVENTS.name, from_ms=since_ms, to_ms=None, into=f"{EVENTS.name}.again", raw=True)
    coverage = replay_topic(endpoints.bootstrap, request, on_progress=lambda _: None)
    return coverage.records.total(), time.monotonic() - begun_s


def _compare(endpoints: Endpoints, version: Version) -> Parity:
    """Compare all keys, once both versions have read what was sent last."""
    client, live = connect(endpoints.redis_url), load_plan(FEATURES).group(GROUP)
    found = Parity()

    def is_settled() -> bool:
        nonlocal found
        found = compare(client, live, version.group, sample=_ALL_KEYS, at_ms=now_ms())
        return not (found.unlike or found.missing or found.moving)

    with contextlib.suppress(EnvironmentProblem):  # the result says what differs
        wait_until(is_settled, what="equal values", deadline_s=60, hint="")
    client.close()
    return found


def _reads(readings: list[Reading]) -> Reads:
    took = sorted(each.took_ms for each in readings)
    return Reads(
        reads=len(took),
        failed=sum(each.version == 0 for each in readings),
        p50_ms=round(statistics.median(took), 1),
        p99_ms=round(took[int(len(took) * 0.99)], 1),
    )


def main() -> int:
    """`headrace bench replay_next_to_live`."""
    parser = argparse.ArgumentParser(prog="headrace bench replay_next_to_live", description=__doc__)
    parser.add_argument("--history", type=int, default=200_000, help="events on the log before")
    parser.add_argument("--rate", type=float, default=100.0, help="reads per second")
    parser.add_argument("--events", type=float, default=100.0, help="live events per second")
    parser.add_argument("--settle", type=float, default=30.0, help="seconds of reads before the replay")
    parser.add_argument("--output", type=Path, default=RESULT)
    chosen = parser.parse_args()
    result = run_and_save(
        "replay_next_to_live",
        lambda: measure(chosen.history, rate_per_s=chosen.rate, events_per_s=chosen.events, settle_s=chosen.settle),
        chosen.output,
    )
    out = Console()
    out.print(f"{result.history} events replayed in {result.replay_s} s next to {result.live_events} live ones")
    out.print(f"{result.copied} records of events copied to another topic in {result.copy_s} s")
    for name, reads in (("before", result.before), ("during", result.during)):
        out.print(f"reads {name}: {reads.reads}, p50 {reads.p50_ms} ms, p99 {reads.p99_ms} ms, {reads.failed} failed")
    out.print(f"keys: {result.alike} alike, {result.unlike} unlike, {result.missing} missing")
    return 1 if result.unlike or result.missing else 0


if __name__ == "__main__":
    sys.exit(main())
