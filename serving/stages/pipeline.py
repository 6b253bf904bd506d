"""The stages of a request: hydrate → source → merge → filter → explore → score → rerank → record."""

import asyncio
from typing import Protocol

import msgspec
import numpy as np

from schemas.http import RecommendationAnswer
from schemas.times import now_ms
from serving.kafka.producer import Record
from serving.stages import explore, record
from serving.stages.boost import boost
from serving.stages.filters import keep
from serving.stages.hydrate import Hydrator
from serving.stages.merge import merge
from serving.stages.record import Slate
from serving.stages.rerank import rerank
from serving.stages.retrieve import retrieve
from serving.stages.rules import DEFAULTS, Rules
from serving.stages.score import ranker_of, score
from serving.state.query import Faults, Query
from serving.state.state import ServingState
from serving.state.state_source import StateSource
from serving.telemetry.metrics import Metrics
from serving.telemetry.stopwatch import Stopwatch
from store.reader import AsyncFeatureStore

SILENT_S = 10.0  # the feeder reports each second


class RecordSink(Protocol):
    """Takes records without waiting; `serving.kafka.producer.RecordProducer` is one."""

    def send(self, record: Record) -> bool:
        """Queue one record; False if it was dropped."""
        ...


class Pipeline:
    """Answers queries from the current state, which it reads once per request."""

    def __init__(
        self,
        states: StateSource,
        store: AsyncFeatureStore,
        *,
        producer: RecordSink,
        experiment: str,
        metrics: Metrics,
        rules: Rules = DEFAULTS,
    ) -> None:
        self._states = states
        self._store = store
        self._hydrator = Hydrator()
        self._ranking = asyncio.Lock()
        self._producer = producer
        self._experiment = experiment
        self._metrics = metrics
        self._rules = rules

    async def recommend(self, query: Query, watch: Stopwatch) -> RecommendationAnswer:
        """The slate for a query; its exposure is queued when this returns.

        Requests wait for the store together and are ranked one by one, so that the event loop can accept, or refuse,
        another request after each.
        """
        state, faults = self._states.state, Faults()
        for reason in self._states.report.stalled:
            faults.note(1, reason)
        if (silent_s := self._states.silent_s) > SILENT_S:
            faults.note(1, f"features and models are not updated: the feeder has not reported for {silent_s:.0f} s")
        with watch.stage("hydrate"):
            user = await self._hydrator.hydrate_async(query, state.plan, self._store, faults)
        async with self._ranking:
            return self._ranked(msgspec.structs.replace(query, user=user), state, faults, watch)

    def _ranked(self, query: Query, state: ServingState, faults: Faults, watch: Stopwatch) -> RecommendationAnswer:
        slate, removed = rank(query, state, faults, watch, rules=self._rules)
        with watch.stage("record"):
            made_with = record.versions(slate)
            answer = record.answer(query, slate, made_with=made_with, faults=faults, experiment=self._experiment)
            served_at = now_ms()
            if slate.slots:
                self._producer.send(
                    record.exposure(query, slate, made_with=made_with, level=faults.level, served_at=served_at)
                )
        self._metrics.count_slate(query, watch, level=faults.level)
        return msgspec.structs.replace(answer, removed=removed) if query.explain == "basic" else answer


def rank(
    query: Query, state: ServingState, faults: Faults, watch: Stopwatch, *, rules: Rules = DEFAULTS
) -> tuple[Slate, dict[str, int]]:
    """(slate, number of candidates removed by reason) for a hydrated query: no I/O, no clock but the watch."""
    if not len(state.catalogue):
        faults.note(5, "the catalogue is empty: there is nothing to show")
    with watch.stage("source"):
        found = retrieve(query, state, faults, rules)
    with watch.stage("merge"):
        candidates = merge(found)
    with watch.stage("filter"):
        candidates, removed = keep(query, candidates, state.catalogue)
    with watch.stage("explore"):
        rng = np.random.default_rng(query.seed)
        draws = explore.draw(query, candidates, state=state, rng=rng, rate=rules.exploration)
    with watch.stage("score"):
        ranker = ranker_of(query, state, faults)
        scored = score(query, candidates, draws=draws, state=state, ranker=ranker, blend_by=rules.blend)
    with watch.stage("rerank"):
        scored = boost(query.user, scored, state)
        slots = rerank(query, scored, draws, state=state, rules=rules)
    slate = Slate(scored=scored, slots=slots, state=state, ranker=ranker)
    return slate, {reason: len(ids) for reason, ids in removed.items()}
