"""Answers while there is no state: the list on disk (L4), or the one in the settings (L5). Nothing is ranked."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from headrace.models.array_types import Ids
from headrace.schemas.exposures import Exposure
from headrace.schemas.exposures import Slot as ServedSlot
from headrace.schemas.http import Assignment, Degraded, RankedItem, RecommendationAnswer, Versions
from headrace.schemas.times import now_ms
from headrace.schemas.topics import EXPOSURES
from headrace.serving.kafka.producer import Record
from headrace.serving.limits.traffic import DEFAULT_SURFACE, Surface
from headrace.serving.state import fallback_list
from headrace.serving.state.fallback_list import FallbackList, ListedItem
from headrace.serving.state.query import Query, ids_of

SOURCE = "fallback"
_READ_EVERY_S = 1.0


class Unprepared:
    """Answers without a state. `path`: the list that the feeder writes; `surfaces`: those of the settings."""

    def __init__(self, path: Path, surfaces: Mapping[str, Surface]) -> None:
        self._path = path
        self._surfaces = surfaces
        self._listed: FallbackList | None = None
        self._read_s = float("-inf")

    def answer(
        self, query: Query, *, taken_down: Ids, why: str, experiment: str
    ) -> tuple[RecommendationAnswer, Record] | None:
        """The slate and its exposure; None if there is no list that has an item for this request."""
        degraded, items = self._items(query, why)
        shown = _allowed(items, query, taken_down)[: query.count]
        if not shown:
            return None
        slate = RecommendationAnswer(
            request_id=query.request_id,
            items=[_ranked(query, item, rank) for rank, item in enumerate(shown)],
            experiments=[Assignment(experiment=experiment, arm=query.arm.name)],
            versions=Versions(model="", index="", features={}, feature_set=""),
            degraded=degraded,
        )
        exposure = _exposure(query, shown, degraded.level)
        return slate, Record(
            topic=EXPOSURES, key=query.request_id, value=exposure.payload(), headers=exposure.headers()
        )

    def _items(self, query: Query, why: str) -> tuple[Degraded, Sequence[ListedItem]]:
        if time.monotonic() - self._read_s > _READ_EVERY_S:
            self._listed, self._read_s = fallback_list.read(self._path), time.monotonic()
        if self._listed and self._listed.items:
            age_s = (query.at_ms - self._listed.written_at) / 1000
            reason = f"{why}: items that were popular {age_s:.0f} s ago"
            return Degraded(level=4, reasons=[reason]), self._listed.items
        fixed = self._surfaces.get(query.surface, DEFAULT_SURFACE).fallback
        reason = f"{why}, and no list on disk: the list of the settings"
        return Degraded(level=5, reasons=[reason]), [ListedItem(id_) for id_ in fixed]


def _allowed(items: Sequence[ListedItem], query: Query, taken_down: Ids) -> list[ListedItem]:
    hidden = np.isin(ids_of([item.id for item in items]), np.concatenate([taken_down, query.exclude])).tolist()
    return [item for item, is_hidden in zip(items, hidden, strict=True) if not is_hidden]


def _ranked(query: Query, item: ListedItem, rank: int) -> RankedItem:
    reason = "" if query.explain == "none" else "popular lately"
    return RankedItem(id=item.id, rank=rank, score=0.0, propensity=1.0, sources=[SOURCE], reason=reason)


def _exposure(query: Query, items: Sequence[ListedItem], level: int) -> Exposure:
    return Exposure(
        request_id=query.request_id,
        user_id=query.user_id,
        session_id=query.session_id,
        surface=query.surface,
        received_at=now_ms(),
        arm=query.arm.name,
        policy=query.arm.policy,
        model_version="",
        feature_set="",
        feature_versions={},
        history=[],
        context=query.context,
        seed=query.seed,
        level=level,
        trainable=False,
        slots=[
            ServedSlot(
                item_id=item.id,
                position=position,
                score=0.0,
                propensity=1.0,
                sources=[SOURCE],
                category=item.category,
                dense=b"",
            )
            for position, item in enumerate(items)
        ],
    )
