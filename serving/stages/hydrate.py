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
from msgspec import structs

from headrace.connections.redis_clients import StoreError
from headrace.lang.plan.plan import Group, Plan
from headrace.schemas.model.ranker_inputs import COMPUTED, SHIPPED, Inputs, Reads
from headrace.serving.stages.cold_start import Trends
from headrace.serving.stages.neighbours import NeighbourCache, combine
from headrace.serving.stages.sources.source import NeighbourRanking
from headrace.serving.stages.sources.table import SOURCES
from headrace.serving.state import columns
from headrace.serving.state.query import Faults, MemberValues, Neighbours, Query, Taste, User, ids_of
from headrace.store.redis.pending_rows import can_be_pending
from headrace.store.redis.reader import AsyncFeatureStore, FeatureRequest, FeatureStore, FeatureValues, Status
from headrace.store.redis.reading import Reading, read_async, read_now

TASTE, SHOWN = "user_category", "user_category_engagement"
_TOTAL = f"{TASTE}.affinity_total"  # computed here
_TASTES = ((TASTE, ("affinity", "skips_1h", "skips_24h")), (SHOWN, ("imps_ever", "clicks_ever")))
_BY_CATEGORY = tuple((group, name) for group, names in _TASTES for name in names)
BY_CATEGORY = frozenset(f"{group}.{name}" for group, name in _BY_CATEGORY)
NEIGHBOURS = tuple(dict.fromkeys(source.neighbours for source in SOURCES if source.neighbours))
_PRESENT: tuple[Status, ...] = ("ok", "stale")
_FOR_COMPUTED = ("user_engagement.ctr_ever", "user_price.clicked_avg_30d")
_MEMBERS = ("category", "seller")


def _numbers_of(inputs: Inputs) -> list[str]:
    """The numbers of users that are inputs as they are, or that inputs are computed from."""
    computed = (name for each in inputs.columns for name in COMPUTED.get(each.name, ()) if name in _FOR_COMPUTED)
    return list(dict.fromkeys((*(name for name in inputs.of("user") if name not in COMPUTED), *computed)))


def crosses_of(inputs: Inputs) -> tuple[str, ...]:
    """The inputs that are features of a user and the category or seller of a candidate, as they are."""
    return tuple(name for name in inputs.of("cross") if name not in COMPUTED and name not in BY_CATEGORY)


def reads_of(inputs: Inputs) -> tuple[str, ...]:
    """The features of users, and of the items of their history, that a request reads."""
    numbers = _numbers_of(inputs)
    rankings = (_ranking(neighbours, inputs.reads) for neighbours in NEIGHBOURS)
    read = (*numbers, *sorted(BY_CATEGORY), *crosses_of(inputs), inputs.reads.top_categories, inputs.reads.history)
    return tuple(dict.fromkeys(name for name in (*read, *rankings) if name))


class Hydrator:
    """Reads users. Raises nothing: if the store does not answer, the user is unknown and the answer at L3."""

    def __init__(self, inputs: Inputs = SHIPPED) -> None:
        self._neighbours = NeighbourCache()
        self._reads = inputs.reads
        self._trends = Trends(inputs.reads)
        self._numbers = [(name, *_parts(name)) for name in _numbers_of(inputs)]
        self._crosses = [(name, *_parts(name)) for name in crosses_of(inputs)]
        read = (*self._numbers, *((f"{group}.{name}", group, name) for group, name in _BY_CATEGORY))
        self._by_group: dict[str, list[tuple[str, str]]] = {}
        for feature, group, name in read:
            self._by_group.setdefault(group, []).append((feature, name))
        parts = (_parts(self._reads.history), _parts(self._reads.top_categories), *(each[1:] for each in self._crosses))
        self._groups = {group for group, _ in parts} | self._by_group.keys()

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
        groups = [group for group in plan.groups if self._is_of_users(group)]
        values = (yield [self._request(group, query) for group in groups]) if groups else []
        found = {group.name: each for group, each in zip(groups, values, strict=True)}
        history = _history(found, self._reads.history)
        neighbours = yield from self._ranked(history, plan, query.at_ms)
        top = _top(found, self._reads.top_categories)
        trends = [] if top else (yield from self._trends.read(query, plan))
        nulls = {self._reads.top_categories: not top, self._reads.history: not history}
        nulls |= {_ranking(each, self._reads): not len(neighbours[each.feature].ids) for each in NEIGHBOURS}
        nulls.pop("", None)
        tastes = _tastes(found)
        total = {_TOTAL: sum(each.affinity for each in tastes.values())} if TASTE in found else {}
        return User(
            history=history,
            history_ids=ids_of(history),
            numbers=self._user_numbers(found) | total,
            crosses={name: values for name, *at in self._crosses if (values := _by_member(found.get(at[0]), at[1]))},
            tastes=tastes,
            top=top,
            trends=trends,
            boosts=_boosts(found),
            neighbours=neighbours,
            nulls=_nulls(found, self._by_group) | nulls,
        )

    def _user_numbers(self, found: Mapping[str, FeatureValues]) -> dict[str, float]:
        numbers: dict[str, float] = {}
        for feature, group, name in self._numbers:
            values = found.get(group)
            if values and len(values.group.entity) == 1 and name in values.merged.numbers:
                numbers[feature] = float(values.merged.numbers[name][0])
        return numbers

    def _is_of_users(self, group: Group) -> bool:
        """Whether a request reads the group for its user."""
        return group.entity[0] == group.source.roles.user and (group.name in self._groups or group.boost is not None)

    def _request(self, group: Group, query: Query) -> FeatureRequest:
        pending = group.name == _parts(self._reads.history)[0] and can_be_pending(group)
        return FeatureRequest(group, [query.user_id], pending=pending)

    def _ranked(self, history: Sequence[str], plan: Plan, at_ms: int) -> Reading[dict[str, Neighbours]]:
        """The neighbours of the history's newest distinct items, by the feature that ranks them."""
        first: dict[str, int] = {}
        for place, item in enumerate(history):
            first.setdefault(item, place)
        items, cache = list(first), self._neighbours
        rankings = [
            (neighbours, group, rollup)
            for neighbours in NEIGHBOURS
            for name, rollup in [_parts(_ranking(neighbours, self._reads))]
            if (group := plan.find(name)) and any(each.name == rollup for each in group.rollups)
        ]
        wanted = [
            (rollup, FeatureRequest(group, unread))
            for each, group, rollup in rankings
            if (unread := cache.missing(items[: each.newest], group=group, rollup=rollup, at_ms=at_ms))
        ]
        if wanted:
            found = yield [request for _, request in wanted]
            for (rollup, request), values in zip(wanted, found, strict=True):
                cache.put(request.owners, values, rollup=rollup, at_ms=at_ms)
        indexes = np.array([*first.values()], np.int64)
        ranked = {ranking.feature: Neighbours.none() for ranking in NEIGHBOURS}
        for each, group, rollup in rankings:
            found = cache.get(items[: each.newest], group=group, rollup=rollup)
            combined = combine(found, fading=each.fading, damping=each.damping)
            ranked[each.feature] = structs.replace(combined, nearest_to=indexes[combined.nearest_to])
        return ranked


def _parts(feature: str) -> tuple[str, str]:
    """(group, name) of `group.feature`."""
    group, _, name = feature.partition(".")
    return group, name


def _ranking(neighbours: NeighbourRanking, reads: Reads) -> str:
    """The feature that ranks the neighbours of a source."""
    return {SHIPPED.reads.next: reads.next, SHIPPED.reads.together: reads.together}.get(
        neighbours.feature, neighbours.feature
    )


def _history(found: Mapping[str, FeatureValues], feature: str) -> list[str]:
    """The items of the history, newest first; none if the feature is not declared."""
    group, name = _parts(feature)
    values = found.get(group)
    if values is None or len(values.group.entity) > 1:
        return []
    lists = values.merged.lists.get(name)
    return lists[0] if lists else []


def _top(found: Mapping[str, FeatureValues], feature: str) -> list[str]:
    """The categories that the user likes most; none if the feature is not declared."""
    group, name = _parts(feature)
    values = found.get(group)
    ranking = values.rollups.get(name) if values else None
    return [category for category, _ in ranking[0]] if ranking else []


def _by_member(values: FeatureValues | None, name: str) -> MemberValues | None:
    """A number of the user by category or seller; None if it is not declared by one of them."""
    if values is None or len(values.group.entity) != 2 or values.group.entity[1] not in _MEMBERS:
        return None
    numbers = values.merged.numbers.get(name)
    if numbers is None:
        return None
    by_member = {member: value for (_, member), value in zip(values.keys, numbers.tolist(), strict=True)}
    return MemberValues(values.group.entity[1], by_member, 0.0 if values.group.on_missing == "zero" else math.nan)


def _unknown(error: Exception, faults: Faults) -> User:
    faults.note(3, f"the feature store does not answer ({type(error).__name__}): no user state")
    return User.unknown()


def _nulls(found: Mapping[str, FeatureValues], by_group: Mapping[str, Sequence[tuple[str, str]]]) -> dict[str, bool]:
    """Whether each number is NULL for all keys of the user. If the store has nothing, a count is NULL here, not 0."""
    nulls: dict[str, bool] = {}
    for group, names in by_group.items():
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
