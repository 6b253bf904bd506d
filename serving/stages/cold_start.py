"""Where a request starts that nothing is known of: what its country likes now, else what this part of the day does.

The rankings are few, and the same for all who come from there: they are kept for some seconds.
"""

from collections.abc import Sequence

from msgspec import Struct

from lang.events.computed import Computation
from lang.plan.plan import Group, Plan
from serving.state.query import Query
from store.reader import Reads, Wanted

_KEPT_MS = 5_000
_MOST = 5_000  # rankings held
_GROUPS = ("country_category", "daypart_category")
READ = ("country_category.country_categories", "daypart_category.daypart_categories")


class _Held(Struct, frozen=True):
    categories: list[str]
    read_at_ms: int


class Trends:
    """Reads the rankings of both groups that are not at hand."""

    def __init__(self, reader: Reads) -> None:
        self._reader = reader
        self._computed: dict[str, Computation] = {}  # by source, whose declaration does not change
        self._held: dict[tuple[str, int, str], _Held] = {}

    def of(self, query: Query, plan: Plan) -> Sequence[str]:
        """Categories, the hottest first; none where neither country nor part of the day has any.

        Raises:
            StoreError: the store did not answer.
        """
        for name in _GROUPS:
            group = plan.group(name)
            event = {group.source.event_time: query.at_ms, "context": query.context}
            if group.source.name not in self._computed:
                self._computed[group.source.name] = Computation(group.source)
            owner = self._computed[group.source.name].values(event)[group.entity[0]]
            categories = self._ranking(group, str(owner), query.at_ms) if owner is not None else []
            if categories:
                return categories
        return []

    def _ranking(self, group: Group, owner: str, at_ms: int) -> list[str]:
        place = (group.name, group.version, owner)
        held = self._held.get(place)
        if held is None or not 0 <= at_ms - held.read_at_ms < _KEPT_MS:
            (found,) = self._reader.read([Wanted(group, [owner])], at_ms=at_ms)
            held = _Held([member for member, _ in found.rollups[group.rollups[0].name][0]], at_ms)
            if len(self._held) > _MOST:
                self._held.clear()
            self._held[place] = held
        return held.categories
