"""The output of `headrace features explain`."""

from collections.abc import Callable

import pytest

from headrace.errors import UsageProblem
from headrace.features.explain import explain_feature
from headrace.lang.plan.plan import Plan

NAMES = ["item_engagement.ctr_1h", "item_next.next_items", "item_together.clicked_too", "user_recent.recent_items"]


@pytest.mark.parametrize("name", NAMES)
def test_a_feature_explained(shipped: Plan, golden: Callable[[str, str], None], name: str) -> None:
    golden(f"explain/{name}.txt", explain_feature(shipped, name))


def test_an_ambiguous_name_must_be_given_in_full(shipped: Plan) -> None:
    with pytest.raises(UsageProblem, match=r"item_engagement\.clicks_24h, .*user_recent\.clicks_24h"):
        explain_feature(shipped, "clicks_24h")
    with pytest.raises(UsageProblem, match=r"there are .*item_engagement\.imps_1h"):
        explain_feature(shipped, "nothing")
