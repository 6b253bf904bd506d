"""What each part of serving reads of the feature store, and what of it the feature files do not declare.

A slate is made without it: an input is missing, a source proposes less. The answer is at L1 and names the group.
Nothing here loads numpy: `headrace features validate` answers an editor quickly.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping

from msgspec import Struct

from headrace.lang.plan.plan import Plan
from headrace.schemas.model.ranker_inputs import SHIPPED, Inputs, features_of

LEVEL = 1
RANKER, POPULARITY, EXPLORATION, SIMILAR_ITEMS = "ranker", "popularity", "exploration", "similar"


def read_by(inputs: Inputs = SHIPPED) -> dict[str, tuple[str, ...]]:
    """The features that each reader reads: the ranker, the sources of candidates by name, exploration, `/similar`."""
    reads = inputs.reads
    found = {
        RANKER: features_of(inputs),
        "nearest": (reads.history,),
        "next": (reads.history, reads.next),
        "together": (reads.history, reads.together, reads.clicks),
        "content": (reads.history, reads.clicks),
        "newest": (),
        "trending": (reads.heat, reads.top_categories, reads.country, reads.daypart),
        "popular": (reads.lasting,),
        POPULARITY: (reads.click_rate, reads.heat),
        EXPLORATION: (reads.seen,),
        SIMILAR_ITEMS: (reads.similar,),
    }
    return {reader: tuple(name for name in names if name) for reader, names in found.items()}


READ_BY: Mapping[str, tuple[str, ...]] = read_by()
"""Those of the shipped groups."""


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
