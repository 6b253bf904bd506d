"""What each part of serving reads of the feature store, and what of it the feature files do not declare.

A slate is made without it: an input is missing, a source proposes less. The answer is at L1 and names the group.
Nothing here loads numpy: `headrace features validate` answers an editor quickly.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping

from msgspec import Struct

from headrace.lang.plan.plan import Plan
from headrace.schemas.ranker_inputs import SHIPPED, features_of

LEVEL = 1
HISTORY, TOP = "user_recent.recent_items", "user_category.user_top_categories"
HEAT, LASTING = "item_engagement.heat_6h", "item_popularity.clicks_7d"
SEEN, CLICKS = "item_engagement.imps_24h", "item_quality.clicks_ever"
NEXT, TOGETHER, SIMILAR = "item_next.next_items", "item_together.clicked_too", "item_coview.seen_with"
COUNTRY, DAYPART = "country_category.country_categories", "daypart_category.daypart_categories"
RANKER, EXPLORATION, SIMILAR_ITEMS = "ranker", "exploration", "similar"
READ_BY: Mapping[str, tuple[str, ...]] = {
    RANKER: features_of(SHIPPED),
    "nearest": (HISTORY,),
    "next": (HISTORY, NEXT),
    "together": (HISTORY, TOGETHER, CLICKS),
    "newest": (),
    "trending": (HEAT, TOP, COUNTRY, DAYPART),
    "popular": (LASTING,),
    EXPLORATION: (SEEN,),
    SIMILAR_ITEMS: (SIMILAR,),
}
"""The features that each reader reads: the ranker, the sources of candidates by name, exploration, `/similar`."""


class Missing(Struct, frozen=True, kw_only=True):
    """What a plan lacks.

    Attributes:
        features: `group.feature` by reader; only readers that lack something.
        reasons: a sentence for each group, as answers give them.
    """

    features: Mapping[str, list[str]]
    reasons: list[str]


def missing_in(plan: Plan, read_by: Mapping[str, tuple[str, ...]] = READ_BY) -> Missing:
    """What of these features, by reader, a plan does not declare."""
    declared = {f"{group.name}.{feature.name}" for group in plan.groups for feature in group.features}
    lacking = {
        reader: lacks
        for reader, names in read_by.items()
        if (lacks := [name for name in dict.fromkeys(names) if name not in declared])
    }
    return Missing(features=lacking, reasons=list(_reasons(lacking, {group.name for group in plan.groups})))


def _reasons(lacking: Mapping[str, list[str]], groups: set[str]) -> Iterator[str]:
    by_group: defaultdict[str, dict[str, list[str]]] = defaultdict(dict)
    for reader, names in lacking.items():
        for name in names:
            group, _, feature = name.partition(".")
            by_group[group].setdefault(reader, []).append(feature)
    for group, of_readers in by_group.items():
        features = ", ".join(dict.fromkeys(name for names in of_readers.values() for name in names))
        lacks = f"feature group {group} has no {features}" if group in groups else f"there is no feature group {group}"
        yield f"{lacks}, which {', '.join(of_readers)} would read"


class MissingFeatures:
    """What some readers lack in the plan in use, computed once for each plan."""

    def __init__(self, read_by: Mapping[str, tuple[str, ...]]) -> None:
        self._read_by = read_by
        self._known: tuple[Plan, Missing] | None = None

    def of(self, plan: Plan) -> Missing:
        """What they lack in this plan."""
        known = self._known
        if known is None or known[0] is not plan:
            known = self._known = (plan, missing_in(plan, self._read_by))
        return known[1]
