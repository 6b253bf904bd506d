"""Categories for a user without a history: what their country likes now, else what people like at this time of day.

The rankings are few, and shared by all users of a country or time of day, so they are cached for some seconds.
"""

from collections.abc import Sequence

from msgspec import Struct

from headrace.lang.events.computed import Computation
from headrace.lang.plan.plan import Group, Plan
from headrace.schemas.model.ranker_inputs import SHIPPED, Reads
from headrace.serving.state.query import Query
from headrace.store.redis.reader import FeatureRequest
from headrace.store.redis.reading import Reading

_KEPT_MS = 5_000
_MOST = 5_000  # rankings cached


class _Cached(Struct, frozen=True):
    categories: list[str]
    read_at_ms: int


class Trends:
    """The rankings of both groups, each read at most once in five seconds."""

    def __init__(self, reads: Reads = SHIPPED.reads) -> None:
        self._features = (reads.country, reads.daypart)
        self._computed: dict[str, Computation] = {}  # by source, whose declaration does not change
        self._cached: dict[tuple[str, int, str, str], _Cached] = {}

    def read(self, query: Query, plan: Plan) -> Reading[Sequence[str]]:
        """Categories, the hottest first; none if neither the country nor the time of day has any."""
        for feature in self._features:
            name, _, rollup = feature.partition(".")
            group = plan.find(name)
            if group is None or not any(each.name == rollup for each in group.rollups):
                continue
            event = {group.source.event_time: query.at_ms, group.source.roles.context: query.context}
            if group.source.name not in self._computed:
                self._computed[group.source.name] = Computation(group.source)
            owner = self._computed[group.source.name].values(event).get(group.entity[0])
            categories = (yield from self._ranking(group, rollup, str(owner), query.at_ms)) if owner is not None else []
            if categories:
                return categories
        return []

    def _ranking(self, group: Group, rollup: str, owner: str, at_ms: int) -> Reading[list[str]]:
        key = (group.name, group.version, rollup, owner)
        cached = self._cached.get(key)
        if cached is None or not 0 <= at_ms - cached.read_at_ms < _KEPT_MS:
            (found,) = yield [FeatureRequest(group, [owner])]
            cached = _Cached([member for member, _ in found.rollups[rollup][0]], at_ms)
            if len(self._cached) > _MOST:
                self._cached.clear()
            self._cached[key] = cached
        return cached.categories
