"""The stages of a request: hydrate → source → merge → filter → explore → score → rerank → record."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Protocol

import msgspec
import numpy as np

from headrace.schemas.http import RecommendationAnswer
from headrace.schemas.model.ranker_inputs import SHIPPED, Inputs
from headrace.schemas.times import now_ms
from headrace.serving.kafka.producer import Record
from headrace.serving.limits.deadline import Deadline
from headrace.serving.limits.effort import Effort, Efforts
from headrace.serving.limits.shed import Shed
from headrace.serving.stages import explore, record
from headrace.serving.stages.boost import boost
from headrace.serving.stages.fallback import most_popular
from headrace.serving.stages.filters import keep
from headrace.serving.stages.hydrate import Hydrator
from headrace.serving.stages.merge import merge
from headrace.serving.stages.record import Slate
from headrace.serving.stages.rerank import rerank
from headrace.serving.stages.retrieve import retrieve
from headrace.serving.stages.rules import DEFAULTS, Rules, readers_of_slates
from headrace.serving.stages.score import ranker_of, score
from headrace.serving.stages.unprepared import Unprepared
from headrace.serving.state.feature_reads import LEVEL, MissingFeatures
from headrace.serving.state.query import Faults, Query, User
from headrace.serving.state.report import NotPublished
from headrace.serving.state.state import ServingState
from headrace.serving.state.state_source import StateSource
from headrace.serving.telemetry.metrics import Metrics
from headrace.serving.telemetry.stopwatch import Stopwatch
from headrace.store.redis.reader import AsyncFeatureStore

SILENT_S = 10.0  # the feeder reports each second
_PATIENCE_S = 0.003  # a near store replies in less; twice in it for neighbours
_HYDRATE = 0.5  # the part of the remaining time that reading the user may take


_REHEARSAL_S = 1.0
_LEVELS = {"light": 2, "list": 4}
_INSTEAD = {"light": "ordered by the light ranker", "list": "the most popular items, not ranked"}


class RecordSink(Protocol):
    """Takes records without waiting; `serving.kafka.producer.RecordProducer` is one."""

    def send(self, record: Record) -> bool:
        """Queue one record; False if it was dropped."""
        ...


class LoggedAnswer(msgspec.Struct, frozen=True):
    """The answer to a query, hydrated if there was a state, and its exposure; None if it has no items."""

    query: Query
    answer: RecommendationAnswer
    exposure: Record | None


class Pipeline:
    """Answers queries from the current state, which it reads once per request.

    Requests take turns: one at a time is read and ranked, and the next one in another turn of the event loop, so that
    the loop accepts, or refuses, others meanwhile. While a request waits long for the store, others go ahead.
    """

    def __init__(
        self,
        states: StateSource,
        store: AsyncFeatureStore,
        *,
        producer: RecordSink,
        experiment: str,
        metrics: Metrics,
        unprepared: Unprepared,
        rules: Rules = DEFAULTS,
        inputs: Inputs = SHIPPED,
    ) -> None:
        self._states = states
        self._store = store
        self._hydrator = Hydrator(inputs)
        self._turn = asyncio.Lock()
        self._producer = producer
        self._experiment = experiment
        self._metrics = metrics
        self._unprepared = unprepared
        self._rules = rules
        self._missing = MissingFeatures(readers_of_slates(rules, inputs))
        self.efforts = Efforts()

    async def recommend(self, query: Query, deadline: Deadline, watch: Stopwatch) -> RecommendationAnswer:
        """The slate for a query; its exposure is queued when this returns.

        Raises:
            Shed: the deadline passed before the slate was ready. No exposure is written.
        """
        try:
            state = self._states.state
        except NotPublished as missing:
            made = self._unprepared_answer(query, missing)
        else:
            made = await self._refined(query, state, self._faults(state), deadline, watch)
        self._log(made, watch)
        return made.answer

    async def stream(
        self, query: Query, deadline: Deadline, watch: Stopwatch
    ) -> AsyncGenerator[RecommendationAnswer, None]:
        """A first slate at once, without the user's features, and then the one that `recommend` returns.

        There is no second one if it would be late, or if there is no state. The exposure of the last one is queued,
        also if nobody reads on.
        """
        made, state = self._first(query)
        try:
            yield made.answer
            if state:
                made = await self._refined(query, state, self._faults(state), deadline, watch)
                yield made.answer
        except Shed as shed:
            self._metrics.count_shed(shed)
        finally:
            self._log(made, watch)

    async def rehearse(self, query: Query) -> None:
        """Make a slate for nobody: nothing is sent or counted.

        Raises:
            NotPublished: there is no state.
        """
        state, faults = self._states.state, Faults()
        user = await self._hydrator.hydrate_async(query, state.plan, self._store, faults, within_s=_REHEARSAL_S)
        query = msgspec.structs.replace(query, user=user)
        slate, _ = rank(query, state, faults, Stopwatch(), rules=self._rules)
        made_with = record.versions(slate)
        record.answer(query, slate, made_with=made_with, faults=faults, experiment=self._experiment)
        record.exposure(query, slate, made_with=made_with, level=faults.level, served_at=query.at_ms)

    def _faults(self, state: ServingState) -> Faults:
        """What concerns every request now."""
        faults = Faults()
        for reason in self._missing.of(state.plan).reasons:
            faults.note(LEVEL, reason)
        for reason in self._states.report.stalled:
            faults.note(1, reason)
        if (silent_s := self._states.silent_s) > SILENT_S:
            faults.note(1, f"features and models are not updated: the feeder has not reported for {silent_s:.0f} s")
        return faults

    def _log(self, made: LoggedAnswer, watch: Stopwatch) -> None:
        """Count an answer and queue its exposure."""
        self._metrics.count_slate(made.query, watch, level=made.answer.degraded.level)
        if made.exposure:
            self._producer.send(made.exposure)

    def _unprepared_answer(self, query: Query, missing: NotPublished) -> LoggedAnswer:
        """The answer without a state.

        Raises:
            NotPublished: there is no list to answer from either.
        """
        taken_down, why = self._states.taken_down, "serving is starting"
        made = self._unprepared.answer(query, taken_down=taken_down, why=why, experiment=self._experiment)
        if made is None:
            raise missing
        return LoggedAnswer(query, *made)

    def _first(self, query: Query) -> tuple[LoggedAnswer, ServingState | None]:
        """The first slate of a stream, by the light ranker, and the state for the next one if there is any."""
        try:
            state = self._states.state
        except NotPublished as missing:
            return self._unprepared_answer(query, missing), None
        faults = self._faults(state)
        faults.note(3, "the first slate of a stream: the user's features are still being read")
        slate, removed = rank(query, state, faults, Stopwatch(), rules=self._rules, effort="light")
        return self._made(query, slate, faults, removed), state

    async def _refined(
        self, query: Query, state: ServingState, faults: Faults, deadline: Deadline, watch: Stopwatch
    ) -> LoggedAnswer:
        with watch.stage("wait"):
            await self._turn.acquire()
        try:
            with watch.stage("hydrate"):
                user = await self._hydrated(query, state, faults, deadline)
            return self._ranked(msgspec.structs.replace(query, user=user), state, faults, deadline, watch)
        finally:
            self._turn.release()

    async def _hydrated(self, query: Query, state: ServingState, faults: Faults, deadline: Deadline) -> User:
        """The user of a query whose turn it is."""
        within_s = _remaining_ms(deadline) * _HYDRATE / 1000
        reading = asyncio.create_task(
            self._hydrator.hydrate_async(query, state.plan, self._store, faults, within_s=within_s)
        )
        try:
            await asyncio.wait((reading,), timeout=_PATIENCE_S)
            if not reading.done():
                self._turn.release()
                try:
                    await asyncio.wait((reading,))
                finally:
                    await self._turn.acquire()
            return reading.result()
        finally:
            reading.cancel()

    def _ranked(
        self, query: Query, state: ServingState, faults: Faults, deadline: Deadline, watch: Stopwatch
    ) -> LoggedAnswer:
        remaining_ms = _remaining_ms(deadline)
        effort = self.efforts.choose(remaining_ms)
        if effort != "full":
            faults.note(_LEVELS[effort], f"{remaining_ms:.0f} ms remained before the deadline: {_INSTEAD[effort]}")
        slate, removed = rank(query, state, faults, watch, rules=self._rules, effort=effort)
        with watch.stage("record"):
            made = self._made(query, slate, faults, removed)
            after_ms = deadline.remaining_ms()
            self.efforts.observe(effort, remaining_ms - after_ms)
            if after_ms < 0:
                detail = f"The slate was ready {-after_ms:.1f} ms after the deadline of {deadline.allowed_ms:.0f} ms."
                raise Shed(detail, reason="late")
        return made

    def _made(self, query: Query, slate: Slate, faults: Faults, removed: dict[str, int]) -> LoggedAnswer:
        made_with = record.versions(slate)
        answer = record.answer(query, slate, made_with=made_with, faults=faults, experiment=self._experiment)
        if query.explain == "basic":
            answer = msgspec.structs.replace(answer, removed=removed)
        exposure = record.exposure(query, slate, made_with=made_with, level=faults.level, served_at=now_ms())
        return LoggedAnswer(query, answer, exposure if slate.slots else None)


def _remaining_ms(deadline: Deadline) -> float:
    """Milliseconds that remain for a request whose turn has come.

    Raises:
        Shed: none does.
    """
    remaining_ms = deadline.remaining_ms()
    if remaining_ms <= 0:
        detail = (
            f"The deadline of {deadline.allowed_ms:.0f} ms passed {-remaining_ms:.1f} ms before the request's turn."
        )
        raise Shed(detail, reason="expired")
    return remaining_ms


def rank(
    query: Query,
    state: ServingState,
    faults: Faults,
    watch: Stopwatch,
    *,
    rules: Rules = DEFAULTS,
    effort: Effort = "full",
) -> tuple[Slate, dict[str, int]]:
    """(slate, number of candidates removed by reason) for a hydrated query: no I/O, no clock but the watch."""
    if not len(state.catalogue):
        faults.note(5, "the catalogue is empty: there is nothing to show")
    if effort == "list":
        return most_popular(query, state, rules), {}
    with watch.stage("source"):
        found = retrieve(query, state, faults, rules)
    with watch.stage("merge"):
        candidates = merge(found)
    with watch.stage("filter"):
        candidates, removed = keep(query, candidates, state)
    with watch.stage("explore"):
        rng = np.random.default_rng(query.seed)
        draws = explore.draw(query, candidates, state=state, rng=rng, rate=rules.exploration)
    with watch.stage("score"):
        ranker = ranker_of(query, state, faults) if effort == "full" else None
        scored = score(query, candidates, draws=draws, state=state, ranker=ranker, blend_by=rules.blend)
    with watch.stage("rerank"):
        scored = boost(query.user, scored, state)
        slots = rerank(query, scored, draws, state=state, rules=rules)
    reasons = [record.why(query, scored.candidates, slot.index, state) for slot in slots]
    slate = Slate(scored=scored, slots=slots, state=state, ranker=ranker, reasons=reasons)
    return slate, {reason: len(ids) for reason, ids in removed.items()}
