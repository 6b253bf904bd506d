"""Slates ranked in one thread while another thread applies versions, in one interpreter as in serving.

A window ranks slates for some seconds without a pause, either alone or with one version applied per second. The two
kinds of windows alternate.
"""

import threading
import time
from collections.abc import Iterator

import numpy as np
from msgspec import Struct, structs

from benchmarks.inputs.version_messages import VersionChain
from headrace.errors import EnvironmentProblem
from headrace.lang.planner.load import load_plan
from headrace.layout import FEATURES
from headrace.models.array_types import Ids
from headrace.schemas.catalogue import Item
from headrace.serving.stages.pipeline import rank
from headrace.serving.stages.sources import clicked_after
from headrace.serving.state import catalogue, columns, item_features
from headrace.serving.state.experiment import Arm
from headrace.serving.state.query import Faults, Neighbours, Query, Taste, User
from headrace.serving.state.state import Live
from headrace.serving.telemetry.stopwatch import Stopwatch
from headrace.serving.versions.delta_reader import DeltaReader

_AT_MS = 1_800_000_000_000
_ONLINE = Arm(name="online", share=1.0, policy="model:live")
_CATEGORIES, _HISTORY, _SLOTS = 20, 20, 20
_SECONDS_OF_A_MINUTE, _WINDOWS = 60, 8


class SlateLatency(Struct, frozen=True):
    """Latency of slates, ms.

    Attributes:
        p50, p99: without versions. `second_*`: with one version per second.
        minute_p99: with one version per minute: the same slates, those during a version with a weight of 1/60.
        second_ratio, minute_ratio: p99 divided by `p99`, minus 1.
        slates, versions: number ranked and number applied, in all windows.
        taken_ms: median time from the first message of a version until it ranks.
    """

    slates: int
    versions: int
    taken_ms: float
    p50: float
    p99: float
    second_p50: float
    second_p99: float
    second_ratio: float
    minute_p99: float
    minute_ratio: float


class SlateLoad:
    """A serving state with `shown` items, and queries to rank."""

    def __init__(self, shown: int, *, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self.live = Live(load_plan(FEATURES))
        items = [
            Item(item_id=f"i{n}", category=f"c{n % _CATEGORIES}", price=float(n % 50), born_at=_AT_MS - 1000 * n)
            for n in range(shown)
        ]
        self.live.set_catalogue(catalogue.build([catalogue.entry_of(item) for item in items]))
        values = columns.SHIPPED_COLUMNS.blank(shown)
        values[:, :-1] = self._rng.gamma(1.0, 60.0, (shown, len(columns.SHIPPED_COLUMNS.names) - 1))
        self.live.set_features(item_features.build(self.live.state.catalogue, values, version={}, read_at=_AT_MS))
        self._queries = [self._query(number) for number in range(500)]

    def rank_for(self, seconds: float) -> list[tuple[float, float]]:
        """Rank slates one after another for some seconds; returns (begin s, latency ms) of each."""
        times: list[tuple[float, float]] = []
        until = time.perf_counter() + seconds
        while (begun := time.perf_counter()) < until:
            rank(self._queries[len(times) % len(self._queries)], self.live.state, Faults(), Stopwatch())
            times.append((begun, (time.perf_counter() - begun) * 1000))
        return times

    def _query(self, number: int) -> Query:
        shown = self.live.state.catalogue.ids
        history = self._rng.choice(shown, _HISTORY, replace=False)
        return Query(
            request_id=f"r{number}",
            user_id=f"u{number}",
            session_id="s",
            surface="feed",
            count=_SLOTS,
            at_ms=_AT_MS,
            seed=number,
            arm=_ONLINE,
            user=self._user(history),
        )

    def _user(self, history: Ids) -> User:
        follow = self._rng.choice(self.live.state.catalogue.ids, 80, replace=False)
        strength = np.linspace(2, 1, len(follow))
        after = Neighbours(follow, strength, strength, np.zeros(len(follow), np.int64))
        return structs.replace(
            User.unknown(),
            history_ids=history,
            tastes={f"c{n}": Taste(affinity=2.0 - n / 4) for n in range(4)},
            top=[f"c{n}" for n in range(4)],
            numbers={"user_category.affinity_total": 6.0},
            neighbours={clicked_after.NEIGHBOURS.feature: after},
        )


class VersionApplier:
    """A context in which one version is applied per second."""

    def __init__(self, reader: DeltaReader, waiting: Iterator[list[bytes]]) -> None:
        self.spans: list[tuple[float, float]] = []
        self._reader, self._waiting = reader, waiting
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "VersionApplier":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        due_s = time.perf_counter() + 0.5
        while not self._stop.wait(max(due_s - time.perf_counter(), 0)):
            begun = time.perf_counter()
            apply_version(self._reader, next(self._waiting))
            self.spans.append((begun, time.perf_counter()))
            due_s += 1.0


def apply_version(reader: DeltaReader, messages: list[bytes]) -> None:
    """Apply one version, as the reader's thread does when no other version waits."""
    for message in messages:
        reader.chain.feed(message)
    reader.promote()


def measure(
    load: SlateLoad, reader: DeltaReader, chain: VersionChain, *, chunks: list[bytes], seconds: float
) -> SlateLatency:
    """Alternate quiet and busy windows of `seconds` each, eight of both kinds.

    Raises:
        EnvironmentProblem: a version was rejected, or was not applied within its window.
    """
    quiet: list[float] = []
    busy: list[tuple[float, float]] = []
    spans: list[tuple[float, float]] = []
    # made before the measurement: their hashes are the learner's work
    waiting = iter([chain.next(chunks) for _ in range(_WINDOWS * (int(seconds) + 1))])
    load.rank_for(seconds)  # warms up, not counted
    for _ in range(_WINDOWS):
        quiet += [took for _, took in load.rank_for(seconds)]
        with VersionApplier(reader, waiting) as taker:
            busy += load.rank_for(seconds)
        spans += taker.spans
    found = load.live.progress
    if found.rejected or len(found.applied) != len(spans) + 1:
        message = f"{len(found.applied)} of {len(spans) + 1} versions were applied; rejected: {dict(found.rejected)}"
        raise EnvironmentProblem(message)
    return _summed(np.array(quiet), np.array(busy), np.array(spans))


def _summed(quiet: np.ndarray, busy: np.ndarray, spans: np.ndarray) -> SlateLatency:
    begun, took = busy.T
    following = np.searchsorted(spans[:, 1], begun)  # index of the first version that ended after the slate began
    overlaps = np.append(spans[:, 0], np.inf)[following] < begun + took / 1000
    # one version per minute, not per second: a sixtieth of the slates overlap a version, the others do not
    alone = np.concatenate([quiet, took[~overlaps]])
    overlapping = took[overlaps]
    share = overlaps.mean() / _SECONDS_OF_A_MINUTE
    weights = np.repeat([(1 - share) / len(alone), share / max(len(overlapping), 1)], [len(alone), len(overlapping)])
    minute = _percentile(np.concatenate([alone, overlapping]), weights, 0.99)
    p99, second = np.percentile(quiet, 99), np.percentile(took, 99)
    return SlateLatency(
        slates=len(quiet) + len(took),
        versions=len(spans),
        taken_ms=round(float(np.median(spans[:, 1] - spans[:, 0])) * 1000, 1),
        p50=round(float(np.median(quiet)), 3),
        p99=round(float(p99), 3),
        second_p50=round(float(np.median(took)), 3),
        second_p99=round(float(second), 3),
        second_ratio=round(float(second / p99) - 1, 3),
        minute_p99=round(minute, 3),
        minute_ratio=round(minute / float(p99) - 1, 3),
    )


def _percentile(values: np.ndarray, weights: np.ndarray, share: float) -> float:
    order = np.argsort(values)
    return float(values[order][np.searchsorted(np.cumsum(weights[order]), share * weights.sum())])
