"""Stage 1: the user from the store.

One round trip reads the user's history (with the events that they have just sent, docs/adr/0030), tastes, visits and
prices. A second one reads the neighbours of the newest items of that history, by each ranking that a source declares,
unless another request read them a moment ago (`stages.neighbours`). What is liked where a new user comes from takes up
to two more (`stages.cold_start`). Caching histories in this process would save the round trips, but then two workers
would answer one user differently.
"""

import asyncio
import math
from collections.abc import Mapping, Sequence

import numpy as np

from headrace.connections.redis_clients import StoreError
from headrace.lang.plan.plan import Group, Plan
from headrace.models.inputs import USER_INPUTS
from headrace.serving.stages.cold_start import Trends
from headrace.serving.stages.neighbours import NeighbourCache, combine
from headrace.serving.stages.sources.source import NeighbourRanking
from headrace.serving.stages.sources.table import SOURCES
from headrace.serving.state import columns
from headrace.serving.state.query import (
    HISTORY_FEATURE,
    HISTORY_GROUP,
    TOP_FEATURE,
    Faults,
    Neighbours,
    Query,
    Taste,
    User,
    ids_of,
)
from headrace.store.pending_rows import can_be_pending
from headrace.store.reader import AsyncFeatureStore, FeatureRequest, FeatureStore, FeatureValues, Status
from headrace.store.reading import Reading, read_async, read_now

NEWEST = 5  # distinct items of the history whose neighbours are read
TASTE, SHOWN = "user_category", "user_category_engagement"
_TOTAL = f"{TASTE}.affinity_total"  # computed here
_NUMBERS = tuple(name.split(".") for name in USER_INPUTS if name != _TOTAL)
_NAMES = tuple(".".join(name) for name in _NUMBERS)
_TASTES = ((TASTE, ("affinity", "skips_1h", "skips_24h")), (SHOWN, ("imps_ever", "clicks_ever")))
_BY_CATEGORY = tuple((group, name) for group, names in _TASTES for name in names)
_ALL = (*_NUMBERS, *_BY_CATEGORY)
NEIGHBOURS = tuple(dict.fromkeys(source.neighbours for source in SOURCES if source.neighbours))
NUMBERS = tuple(".".join(name) for name in _ALL)
READ = (*NUMBERS, TOP_FEATURE, HISTORY_FEATURE, *(ranking.feature for ranking in NEIGHBOURS))
_PRESENT: tuple[Status, ...] = ("ok", "stale")
_GROUPS = tuple(dict.fromkeys((HISTORY_GROUP, TASTE, SHOWN, *(group for group, _ in _NUMBERS))))
_BY_GROUP = {group: [(f"{group}.{name}", name) for of, name in _ALL if of == group] for group in _GROUPS}


class Hydrator:
    """Reads users. Raises nothing: if the store does not answer, the user is unknown and the answer at L3."""

    def __init__(self) -> None:
        self._neighbours = NeighbourCache()
        self._trends = Trends()

    def hydrate(self, query: Query, plan: Plan, store: FeatureStore, faults: Faults) -> User:
        """The user of a query at its time, from the group versions of a plan."""
        try:
            return read_now(self.read(query, plan), store, at_ms=query.at_ms)
        except StoreError as error:
            return _unknown(error, faults)

    async def hydrate_async(
        self, query: Query, plan: Plan, store: AsyncFeatureStore, faults: Faults, *, within_s: float
    ) -> User:
        """The same, without blocking the event loop, and for `within_s` seconds at most."""
        limit = asyncio.timeout(within_s)
        try:
            async with limit:
                return await read_async(self.read(query, plan), store, at_ms=query.at_ms)
        except (*StoreError, TimeoutError) as error:
            if not limit.expired():
                return _unknown(error, faults)
            had = f"{within_s * 1000:.1f} ms that this request had for it"
            faults.note(3, f"the feature store did not answer in the {had}: no user state")
            return User.unknown()

    def read(self, query: Query, plan: Plan) -> Reading[User]:
        """The user, read in the round trips that the module describes."""
        groups = [group for group in plan.groups if _is_of_users(group)]
        values = (yield [_request(group, query) for group in groups]) if groups else []
        found = {group.name: each for group, each in zip(groups, values, strict=True)}
        history = _history(found)
        neighbours = yield from self._ranked(history, plan, query.at_ms)
        top = _top(found)
        trends = [] if top else (yield from self._trends.read(query, plan))
        nulls = {TOP_FEATURE: not top, HISTORY_FEATURE: not history}
        nulls |= {ranking.feature: not len(neighbours[ranking.feature].ids) for ranking in NEIGHBOURS}
        tastes = _tastes(found)
        total = {_TOTAL: sum(each.affinity for each in tastes.values())} if TASTE in found else {}
        return User(
            history=history,
            history_ids=ids_of(history),
            numbers=_numbers(found) | total,
            tastes=tastes,
            top=top,
            trends=trends,
            boosts=_boosts(found),
            neighbours=neighbours,
            nulls=_nulls(found) | nulls,
        )

    def _ranked(self, history: Sequence[str], plan: Plan, at_ms: int) -> Reading[dict[str, Neighbours]]:
        """The neighbours of the history's newest distinct items, by the feature that ranks them."""
        newest, cache = list(dict.fromkeys(history))[:NEWEST], self._neighbours
        pairs = [(ranking, group) for ranking in NEIGHBOURS if (group := _neighbour_group(ranking, plan))]
        wanted = [
            (ranking, FeatureRequest(group, items))
            for ranking, group in pairs
            if (items := cache.missing(newest, group=group, rollup=ranking.rollup, at_ms=at_ms))
        ]
        if wanted:
            found = yield [request for _, request in wanted]
            for (ranking, request), values in zip(wanted, found, strict=True):
                cache.put(request.owners, values, rollup=ranking.rollup, at_ms=at_ms)
        indexes = np.array([history.index(item) for item in newest], np.int64)
        ranked = {ranking.feature: Neighbours.none() for ranking in NEIGHBOURS}
        for ranking, group in pairs:
            combined = combine(cache.get(newest, group=group, rollup=ranking.rollup), damping=ranking.damping)
            ranked[ranking.feature] = Neighbours(combined.ids, combined.strength, indexes[combined.nearest_to])
        return ranked


def _is_of_users(group: Group) -> bool:
    """Whether a request reads the group for its user."""
    return group.entity[0] == "user_id" and (group.name in _GROUPS or group.boost is not None)


def _neighbour_group(ranking: NeighbourRanking, plan: Plan) -> Group | None:
    """The group of a ranking; None if the plan does not have the ranking."""
    group = plan.find(ranking.group)
    return group if group and any(rollup.name == ranking.rollup for rollup in group.rollups) else None


def _history(found: Mapping[str, FeatureValues]) -> list[str]:
    """The items of the history, newest first; none if the feature is not declared."""
    values = found.get(HISTORY_GROUP)
    if values is None or len(values.group.entity) > 1:
        return []
    lists = values.merged.lists.get(HISTORY_FEATURE.partition(".")[2])
    return lists[0] if lists else []


def _top(found: Mapping[str, FeatureValues]) -> list[str]:
    """The categories that the user likes most; none if the feature is not declared."""
    values = found.get(TASTE)
    ranking = values.rollups.get(TOP_FEATURE.partition(".")[2]) if values else None
    return [category for category, _ in ranking[0]] if ranking else []


def _request(group: Group, query: Query) -> FeatureRequest:
    return FeatureRequest(group, [query.user_id], pending=group.name == HISTORY_GROUP and can_be_pending(group))


def _unknown(error: Exception, faults: Faults) -> User:
    faults.note(3, f"the feature store does not answer ({type(error).__name__}): no user state")
    return User.unknown()


def _numbers(found: Mapping[str, FeatureValues]) -> dict[str, float]:
    numbers: dict[str, float] = {}
    for feature, (group, name) in zip(_NAMES, _NUMBERS, strict=True):
        values = found.get(group)
        if values and len(values.group.entity) == 1 and name in values.merged.numbers:
            numbers[feature] = float(values.merged.numbers[name][0])
    return numbers


def _nulls(found: Mapping[str, FeatureValues]) -> dict[str, bool]:
    """Whether each number is NULL for all keys of the user. If the store has nothing, a count is NULL here, not 0."""
    nulls: dict[str, bool] = {}
    for group, names in _BY_GROUP.items():
        values = found.get(group)
        if values is None:
            continue
        present = [index for index, status in enumerate(values.status) if status in _PRESENT]
        for feature, name in names:
            numbers = values.merged.numbers.get(name, np.full(len(values.status), np.nan))
            nulls[feature] = all(math.isnan(numbers[index]) for index in present)
    return nulls


def _tastes(found: Mapping[str, FeatureValues]) -> dict[str, Taste]:
    liked, shown = (_by_category(found.get(group), names) for group, names in _TASTES)
    tastes: dict[str, Taste] = {}
    for category in dict.fromkeys((*liked, *shown)):
        affinity, skips_1h, skips_24h = liked.get(category, (0.0, 0.0, 0.0))
        imps_ever, clicks_ever = shown.get(category, (0.0, 0.0))
        tastes[category] = Taste(
            affinity=affinity, skips_1h=skips_1h, skips_24h=skips_24h, imps_ever=imps_ever, clicks_ever=clicks_ever
        )
    return tastes


def _by_category(values: FeatureValues | None, names: Sequence[str]) -> dict[str, tuple[float, ...]]:
    """The user's numbers by category, 0 for one that the group does not declare; none without the group."""
    if values is None or values.group.entity[1:] != ("category",):
        return {}
    numbers, zeros = values.merged.numbers, np.zeros(len(values.keys))
    rows = zip(*(numbers.get(name, zeros).tolist() for name in names), strict=True)
    return {category: row for (_, category), row in zip(values.keys, rows, strict=True)}


def _boosts(found: Mapping[str, FeatureValues]) -> dict[str, dict[str, float]]:
    """The boosts of groups keyed by the user and a second column: factor by column and its value."""
    boosts: dict[str, dict[str, float]] = {}
    for values in found.values():
        if values.group.boost:
            factors = columns.factors(values.merged.numbers[values.group.boost]).tolist()
            by_member = boosts.setdefault(values.group.entity[1], {})
            for (_, member), factor in zip(values.keys, factors, strict=True):
                by_member[member] = by_member.get(member, 1.0) * factor
    return boosts
