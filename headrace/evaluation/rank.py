"""Tasks rank and next: the place of the item that came, among all that could have, told before its moment is learnt.

Every row is a positive. The candidates are those of serving's sources; an item that none of them found has no place.
The ranker learns the positive beside its other candidates: the best, which a slate would have shown and were passed by,
and a share of the rest, each for its like.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

import numpy as np
from msgspec import Struct, structs

from headrace.evaluation.log import Log
from headrace.evaluation.progressive import Pupil
from headrace.evaluation.rank_baselines import NOWHERE, Places
from headrace.evaluation.requests import Found, Requests
from headrace.evaluation.to_sample import Shown, sample_of
from headrace.replay.recordings import Visit
from headrace.replay.writer import events_of
from lang.plan.plan import Plan
from models.array_types import Doubles, Flags, Floats
from schemas.catalogue import Item
from schemas.ids import hash64
from schemas.samples import Sample

_SHOWN = 30  # best candidates, learnt each time
_OTHERS = 20  # of the rest, on average
_VERSION_MS = 3_600_000  # log time between two versions that the nearest are found by


class Question(Struct, frozen=True, kw_only=True):
    """What is asked of each row.

    Attributes:
        again: what the user has had may come again.
        within_session: only rows that follow another of their session are asked about.
        freeze_at: the row from whose moment on older models are asked too: a copy that stands still, and by each of
            `lags_s` one that is that old.
        seed: of first weights and negatives.
    """

    again: bool
    within_session: bool
    freeze_at: int
    seed: int
    lags_s: Sequence[int] = ()


class Ranked(Struct, frozen=True):
    """The place of each row's item, from 1, infinity where it was none; each (N,).

    Attributes:
        asked: the rows asked about. `older`: by name (see `Pupil`), nowhere before the freeze.
    """

    asked: Flags
    ours: Doubles
    older: dict[str, Doubles]
    baselines: dict[str, Doubles]


def run(log: Log, plan: Plan, *, question: Question, seen: Callable[[int], None]) -> Ranked:
    """Tell and learn every row of a log, in order; `seen` is told the number of rows done, now and then."""
    visits = log.recording.visits
    freeze_ms = visits[min(question.freeze_at, len(visits) - 1)].at_ms
    pupil = Pupil(question.seed, lags_s=question.lags_s, freeze_ms=freeze_ms)
    way = _Way(Requests(plan, _born_when_seen(log)), question, pupil=pupil, rows=len(visits))
    for at_ms, moment in groupby(range(len(visits)), key=lambda row: visits[row].at_ms):
        rows = list(moment)
        way.begin(at_ms, rows)
        for row in rows:
            way.tell(row, visits[row])
        way.learn()
        for row in rows:
            way.happen(row, visits[row])
        seen(rows[-1] + 1)
    return way.ranked


class _Way:
    """The way through the rows."""

    def __init__(self, requests: Requests, question: Question, *, pupil: Pupil, rows: int) -> None:
        self._requests, self._question = requests, question
        self._pupil, self._places = pupil, Places()
        self._rng = np.random.default_rng(question.seed)
        self._sessions: set[str] = set()
        self._next_version_ms = 0
        older, baselines = (
            {name: np.full(rows, NOWHERE) for name in names} for names in (pupil.names, self._places.names)
        )
        self.ranked = Ranked(np.zeros(rows, np.bool_), np.full(rows, NOWHERE), older, baselines)

    def begin(self, at_ms: int, rows: Sequence[int]) -> None:
        """A moment: freeze, and put a version in service, where it is time."""
        if rows[0] <= self._question.freeze_at <= rows[-1]:
            self._pupil.freeze(at_ms)
        self._pupil.begin(at_ms)
        if at_ms >= self._next_version_ms:
            self._requests.show(self._pupil.published(f"1.{rows[0]}"), at_ms)
            self._next_version_ms = at_ms + _VERSION_MS
        self._requests.begin(at_ms)

    def tell(self, row: int, visit: Visit) -> None:
        """The places of a row's item, before anything of its moment is learnt."""
        if self._question.within_session and visit.session_id not in self._sessions:
            return
        found = self._requests.ask(f"row-{row}", visit, again=self._question.again)
        mine = found.candidates.ids == hash64(visit.item_id)
        self.ranked.asked[row] = True
        now, older = self._pupil.score(found)
        self.ranked.ours[row] = _place(now, mine)
        for name, then in older.items():
            self.ranked.older[name][row] = _place(then, mine)
        for name, place in self._places.of(visit, again=self._question.again).items():
            self.ranked.baselines[name][row] = place
        for sample in self._samples(visit, found, scores=now, mine=mine):
            self._pupil.take(sample)

    def learn(self) -> None:
        """Learn once there is a batch."""
        if self._pupil.ready:
            self._pupil.learn()

    def happen(self, row: int, visit: Visit) -> None:
        """Count a row."""
        self._requests.happen(events_of(f"row-{row}", visit))
        self._places.add(visit)
        self._sessions.add(visit.session_id)

    def _samples(self, visit: Visit, found: Found, *, scores: Floats, mine: Flags) -> Iterator[Sample]:
        """The positive and the other candidates that are learnt; nothing where no source found the positive.

        A slate without what was wanted says nothing of what is not wanted.
        """
        if not mine.any():
            return
        shown = np.zeros(len(mine), np.bool_)
        shown[np.argsort(-scores, kind="stable")[:_SHOWN]] = True
        rate = min(_OTHERS / max(len(mine) - _SHOWN, 1), 1.0)
        drawn = self._rng.random(len(mine)) < rate
        for place in np.flatnonzero(mine | shown | drawn).tolist():
            item_id, category = self._requests.named(int(found.candidates.indexes[place]))
            told = Shown(item_id=item_id, category=category, dense=found.inputs[place].tobytes())
            history, kept = found.query.user.history, 1.0 if shown[place] else rate
            yield sample_of(visit, told, history=history, click=bool(mine[place]), negative_rate=kept)


def _place(scores: Floats, mine: Flags) -> float:
    """A candidate's place by falling score, behind those that score the same; none where it was not found."""
    return float((scores >= scores[mine][0]).sum()) if mine.any() and not np.isnan(scores[0]) else NOWHERE


def _born_when_seen(log: Log) -> list[Item]:
    """The items, each to be shown only after the moment of its first row."""
    first: dict[str, int] = {}
    for visit in log.recording.visits:
        first.setdefault(visit.item_id, visit.at_ms)
    items = (item for item in log.recording.items if item.item_id in first)
    return [structs.replace(item, born_at=first[item.item_id] + 1) for item in items]
