"""Tasks rank and next: rank each row's item among all candidates, before learning from rows of the same timestamp.

Every row is a positive. The candidates are those of serving's sources; an item that none of them found is unranked.
The ranker learns the positive together with negatives: the best other candidates, which a slate would have shown, and a
sample of the rest, weighted for the candidates it represents.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

import numpy as np
from msgspec import Struct, structs

from headrace.evaluation.log import Log
from headrace.evaluation.progressive import ProgressiveRanker
from headrace.evaluation.rank_baselines import UNRANKED, RankBaselines
from headrace.evaluation.requests import HydratedRequest, Requests
from headrace.evaluation.source_counts import SourceCounts
from headrace.evaluation.to_sample import ShownItem, build_sample
from headrace.lang.plan.plan import Plan
from headrace.models.array_types import Doubles, Flags, Floats
from headrace.models.ranker.config import RankerConfig
from headrace.replay.recordings import Visit
from headrace.replay.writer import build_events
from headrace.schemas.catalogue import Item
from headrace.schemas.ids import hash64
from headrace.schemas.samples import Sample

_SHOWN = 30  # best candidates, always learned
_OTHERS = 20  # of the rest, on average
_VERSION_MS = 3_600_000  # log time between two versions that the nearest-neighbour source uses


class RankTask(Struct, frozen=True, kw_only=True):
    """How to run tasks rank and next.

    Attributes:
        allow_repeats: rank items that the user already had, too.
        within_session: score only rows that follow another row of their session.
        freeze_at: row from whose timestamp on older copies of the model rank too: one that stopped learning, and one
            for each of `lags_s`, which is that many seconds old.
        seed: seed of initial weights and negatives.
        config: the ranker, with its inputs.
    """

    allow_repeats: bool
    within_session: bool
    freeze_at: int
    seed: int
    lags_s: Sequence[int] = ()
    config: RankerConfig = RankerConfig()


class Ranks(Struct, frozen=True):
    """Rank of each row's item, from 1, `UNRANKED` if it was not among the candidates; each (N,).

    Attributes:
        scored: whether the row is scored.
        ranks: by the progressive ranker.
        older: by its older copies, by name; `UNRANKED` before the freeze (see `ProgressiveRanker`).
        baselines: by the baselines, by name.
        sources: what the candidate sources found.
    """

    scored: Flags
    ranks: Doubles
    older: dict[str, Doubles]
    baselines: dict[str, Doubles]
    sources: SourceCounts


def run(log: Log, plan: Plan, *, task: RankTask, on_progress: Callable[[int], None]) -> Ranks:
    """Rank and learn every row of a log, in order; calls `on_progress` with the number of rows done."""
    visits = log.recording.visits
    freeze_ms = visits[min(task.freeze_at, len(visits) - 1)].at_ms
    ranker = ProgressiveRanker(task.seed, lags_s=task.lags_s, freeze_ms=freeze_ms, config=task.config)
    requests = Requests(plan, _born_when_seen(log), task.config.inputs)
    progressive = _Run(requests, task, ranker=ranker, rows=len(visits))
    for at_ms, group in groupby(range(len(visits)), key=lambda row: visits[row].at_ms):
        rows = list(group)
        progressive.begin(at_ms, rows)
        for row in rows:
            progressive.rank_row(row, visits[row])
        progressive.learn()
        for row in rows:
            progressive.add_row(row, visits[row])
        on_progress(rows[-1] + 1)
    return progressive.result


class _Run:
    """State of one progressive run."""

    def __init__(self, requests: Requests, task: RankTask, *, ranker: ProgressiveRanker, rows: int) -> None:
        self._requests, self._task = requests, task
        self._feature_set = task.config.inputs.feature_set
        self._ranker, self._baselines = ranker, RankBaselines()
        self._rng = np.random.default_rng(task.seed)
        self._sessions: set[str] = set()
        self._next_version_ms = 0
        older, baselines = (
            {name: np.full(rows, UNRANKED) for name in names} for names in (ranker.older_names, self._baselines.names)
        )
        ranks, sources = np.full(rows, UNRANKED), SourceCounts.empty(rows)
        self.result = Ranks(np.zeros(rows, np.bool_), ranks, older, baselines, sources)

    def begin(self, at_ms: int, rows: Sequence[int]) -> None:
        """Begin the rows of one timestamp: freeze the model and serve a new version if it is time."""
        if rows[0] <= self._task.freeze_at <= rows[-1]:
            self._ranker.freeze(at_ms)
        self._ranker.advance(at_ms)
        if at_ms >= self._next_version_ms:
            self._requests.set_model(self._ranker.publish(f"1.{rows[0]}"), at_ms)
            self._next_version_ms = at_ms + _VERSION_MS
        self._requests.refresh_features(at_ms)

    def rank_row(self, row: int, visit: Visit) -> None:
        """Rank the item of one row among its candidates, before learning from any row with the same timestamp."""
        if self._task.within_session and visit.session_id not in self._sessions:
            return
        request = self._requests.hydrate(f"row-{row}", visit, allow_repeats=self._task.allow_repeats)
        is_positive = request.candidates.ids == hash64(visit.item_id)
        self.result.scored[row] = True
        self.result.sources.count(row, request.candidates, is_positive)
        scores, older_scores = self._ranker.score(request)
        self.result.ranks[row] = _rank(scores, is_positive)
        for name, older in older_scores.items():
            self.result.older[name][row] = _rank(older, is_positive)
        for name, rank in self._baselines.ranks(visit, allow_repeats=self._task.allow_repeats).items():
            self.result.baselines[name][row] = rank
        for sample in self._samples(visit, request, scores=scores, is_positive=is_positive):
            self._ranker.add(sample)

    def learn(self) -> None:
        """Learn once there is a batch."""
        if self._ranker.has_batch:
            self._ranker.learn()

    def add_row(self, row: int, visit: Visit) -> None:
        """Add a row to the features, the baselines and the sessions."""
        self._requests.add_events(build_events(f"row-{row}", visit))
        self._baselines.add(visit)
        self._sessions.add(visit.session_id)

    def _samples(
        self, visit: Visit, request: HydratedRequest, *, scores: Floats, is_positive: Flags
    ) -> Iterator[Sample]:
        """Samples of the positive and of the negatives; none if no source found the positive.

        A slate without the item that the user took does not show that the others were not wanted.
        """
        if not is_positive.any():
            return
        shown = np.zeros(len(is_positive), np.bool_)
        shown[np.argsort(-scores, kind="stable")[:_SHOWN]] = True
        rate = min(_OTHERS / max(len(is_positive) - _SHOWN, 1), 1.0)
        drawn = self._rng.random(len(is_positive)) < rate
        for index in np.flatnonzero(is_positive | shown | drawn).tolist():
            item_id, category = self._requests.item_at(int(request.candidates.indexes[index]))
            dense = request.inputs[index].tobytes()
            item = ShownItem(
                item_id=item_id,
                category=category,
                dense=dense,
                feature_set=self._feature_set,
                head=self._task.config.heads.score,
            )
            history, negative_rate = request.query.user.history, 1.0 if shown[index] else rate
            click = bool(is_positive[index])
            yield build_sample(visit, item, history=history, click=click, negative_rate=negative_rate)


def _rank(scores: Floats, is_positive: Flags) -> float:
    """Rank of the positive by falling score, after ties; `UNRANKED` if it is not a candidate or scores are NaN."""
    if not is_positive.any() or np.isnan(scores[0]):
        return UNRANKED
    return float((scores >= scores[is_positive][0]).sum())


def _born_when_seen(log: Log) -> list[Item]:
    """The items, each born just after its first row, so that serving's sources do not find it earlier."""
    first_ms: dict[str, int] = {}
    for visit in log.recording.visits:
        first_ms.setdefault(visit.item_id, visit.at_ms)
    items = (item for item in log.recording.items if item.item_id in first_ms)
    return [structs.replace(item, born_at=first_ms[item.item_id] + 1) for item in items]
