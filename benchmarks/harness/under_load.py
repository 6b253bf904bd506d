"""Slates ranked in one thread while another takes versions in: one interpreter, as in serving.

A window ranks for some seconds without rest, with nothing beside it or with a version each second. Windows take turns.
"""

import threading
import time
from collections.abc import Iterator

import numpy as np
from msgspec import Struct, structs

from benchmarks.inputs.version_messages import Chain
from headrace.errors import EnvironmentProblem
from headrace.layout import FEATURES
from lang.planner.load import load_plan
from models.array_types import Ids
from schemas.catalogue import Item
from serving.stages.pipeline import rank
from serving.state import catalogue, columns, item_features
from serving.state.experiment import Arm
from serving.state.query import Faults, Query, Taste, User
from serving.state.state import Live
from serving.telemetry.stopwatch import Stopwatch
from serving.versions.delta_reader import DeltaReader

_AT_MS = 1_800_000_000_000
_ONLINE = Arm(name="online", share=1.0, policy="model:live")
_CATEGORIES, _HISTORY, _SLOTS = 20, 20, 20
_SECONDS_OF_A_MINUTE, _WINDOWS = 60, 8


class Alongside(Struct, frozen=True):
    """What slates took, ms.

    Attributes:
        p50, p99: with nothing beside them. `second_*`: with a version each second.
        minute_p99: with a version each minute: the same slates, those beside a version counted for a sixtieth.
        second_ratio, minute_ratio: p99 by the quiet one, less 1.
        slates: of all windows. `versions`: taken in. `taken_ms`: median from a version's first message until it ranks.
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


class Slates:
    """A serving state with so many items shown, and users who ask."""

    def __init__(self, shown: int, *, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self.live = Live(load_plan(FEATURES))
        items = [
            Item(item_id=f"i{n}", category=f"c{n % _CATEGORIES}", price=float(n % 50), born_at=_AT_MS - 1000 * n)
            for n in range(shown)
        ]
        self.live.show(catalogue.build([catalogue.entry_of(item) for item in items]))
        values = columns.blank(shown)
        values[:, :-1] = self._rng.gamma(1.0, 60.0, (shown, len(columns.COLUMNS) - 1))
        self.live.warm(item_features.build(self.live.state.catalogue, values, version={}, swept_at=_AT_MS))
        self._queries = [self._query(number) for number in range(500)]

    def window(self, seconds: float) -> list[tuple[float, float]]:
        """(begun s, took ms) of the slates ranked one after the other for so long."""
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
        return structs.replace(
            User.unknown(),
            history_ids=history,
            tastes={f"c{n}": Taste(affinity=2.0 - n / 4) for n in range(4)},
            top=[f"c{n}" for n in range(4)],
            numbers={"user_category.affinity_total": 6.0},
            next_ids=follow,
            next_strength=np.linspace(2, 1, len(follow)),
            after=np.zeros(len(follow), np.int64),
        )


class Taker:
    """Takes the next version in each second while told to."""

    def __init__(self, reader: DeltaReader, waiting: Iterator[list[bytes]]) -> None:
        self.spans: list[tuple[float, float]] = []
        self._reader, self._waiting = reader, waiting
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Taker":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        due_s = time.perf_counter() + 0.5
        while not self._stop.wait(max(due_s - time.perf_counter(), 0)):
            begun = time.perf_counter()
            take(self._reader, next(self._waiting))
            self.spans.append((begun, time.perf_counter()))
            due_s += 1.0


def take(reader: DeltaReader, messages: list[bytes]) -> None:
    """As the reader's thread does when a version has come and nothing else waits."""
    for message in messages:
        reader.feed(message)
    reader.show()


def measure(slates: Slates, reader: DeltaReader, chain: Chain, *, chunks: list[bytes], seconds: float) -> Alongside:
    """Quiet and busy windows of so many seconds in turns, eight of each.

    Raises:
        EnvironmentProblem: a version was refused, or came too late for its window.
    """
    quiet: list[float] = []
    busy: list[tuple[float, float]] = []
    spans: list[tuple[float, float]] = []
    # made before the clock runs: their hashes are the learner's work
    waiting = iter([chain.next(chunks) for _ in range(_WINDOWS * (int(seconds) + 1))])
    slates.window(seconds)  # warms up, not counted
    for _ in range(_WINDOWS):
        quiet += [took for _, took in slates.window(seconds)]
        with Taker(reader, waiting) as taker:
            busy += slates.window(seconds)
        spans += taker.spans
    found = slates.live.progress
    if found.rejected or len(found.applied) != len(spans) + 1:
        message = f"{len(found.applied)} versions were applied of {len(spans) + 1}, refused: {dict(found.rejected)}"
        raise EnvironmentProblem(message)
    return _summed(np.array(quiet), np.array(busy), np.array(spans))


def _summed(quiet: np.ndarray, busy: np.ndarray, spans: np.ndarray) -> Alongside:
    begun, took = busy.T
    places = np.searchsorted(spans[:, 1], begun)  # the first version that was not done when the slate was begun
    inside = np.append(spans[:, 0], np.inf)[places] < begun + took / 1000
    # a version a minute in place of one a second: slates beside one become a sixtieth, the others take their room
    quietly = np.concatenate([quiet, took[~inside]])
    alongside = took[inside]
    room = inside.mean() / _SECONDS_OF_A_MINUTE
    weights = np.repeat([(1 - room) / len(quietly), room / max(len(alongside), 1)], [len(quietly), len(alongside)])
    minute = _percentile(np.concatenate([quietly, alongside]), weights, 0.99)
    p99, second = np.percentile(quiet, 99), np.percentile(took, 99)
    return Alongside(
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
