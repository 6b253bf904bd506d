"""The kind of an edit: new words, more features, or other values under the same names."""

import pytest

from headrace.lang.errors.report import LangError
from headrace.lang.plan.plan import Group, Plan
from headrace.lang.planner.diff import adopt_wording, compare
from headrace.lang.planner.load import parse_plan

SOURCE = """SOURCE clicks (topic 'clicks', event_time occurred_at, lateness '15 minutes', future '5 minutes',
  dedupe event_id WITHIN '1 day')
COLUMNS (event_id STRING REQUIRED, user_id STRING REQUIRED, event_type STRING, occurred_at BIGINT REQUIRED,
  received_at BIGINT);"""
FEATURES = """count(*) FILTER (WHERE event_type = 'click') OVER 1h AS clicks_1h, count(*) OVER 1h AS events_1h
  FROM clicks GROUP BY user_id DERIVE clicks_1h / events_1h AS share"""

SMOOTH = "count(*, edge => interpolate) OVER 24h AS c FROM clicks GROUP BY user_id"


def group(features: str = FEATURES, *, version: int = 1, description: str = "x", more: str = "") -> Group:
    words = f"version {version}, owner 'o', entity user_id, source clicks, on_missing null, description '{description}'"
    words += more
    return parse_plan({"s.sql": SOURCE, "g.sql": f"FEATURE GROUP g ({words}); SELECT {features};"}).group("g")


def kind(wanted: Group) -> str | None:
    change = compare(group(), wanted)
    return change.kind if change else None


def test_no_change_and_cosmetic_changes() -> None:
    assert compare(group(), group()) is None
    assert kind(group(description="y")) == "cosmetic"
    assert kind(group(version=2)) == "rebuilt", "the same meaning, computed again from the log"


def test_a_limit_is_cosmetic() -> None:
    limited = group(more=", max_entities 5_000_000")
    assert limited.max_entities == 5_000_000
    assert kind(limited) == "cosmetic"
    assert adopt_wording(group(), limited) == limited
    assert kind(group(more=", stale_after 1h")) == "cosmetic", "a mark, not a value"
    more = group(f"max(occurred_at) OVER 24h AS last_at, {FEATURES}", description="y")
    assert adopt_wording(group(), more) == group(description="y"), "its words alone"


@pytest.mark.parametrize("most", ["0", "many", "1.5", "'5'"])
def test_a_limit_is_a_whole_number_above_zero(most: str) -> None:
    with pytest.raises(LangError, match=r"F100 found .* expected a whole number"):
        group(more=f", max_entities {most}")


def test_another_order_of_the_same_features_means_the_same() -> None:
    turned = """count(*) OVER 1h AS events_1h, count(*) FILTER (WHERE event_type = 'click') OVER 1h AS clicks_1h
      FROM clicks GROUP BY user_id DERIVE clicks_1h / events_1h AS share"""
    assert kind(group(turned)) is None


def test_one_feature_more() -> None:
    change = compare(group(), group(f"max(occurred_at) OVER 24h AS last_at, {FEATURES}", version=2))
    assert change is not None
    assert (change.kind, change.added, change.changed, change.removed) == ("additive", ("last_at",), (), ())
    assert str(change) == "g 1 → 2, additive: + last_at"


@pytest.mark.parametrize("version", [1, 2])
def test_another_filter_changes_what_is_derived_from_it_too(version: int) -> None:
    change = compare(group(), group(FEATURES.replace("'click'", "'view'"), version=version))
    assert change is not None
    assert change.kind == ("breaking" if version == 2 else "unversioned")
    assert change.changed == ("clicks_1h", "share")


def test_another_edge_is_another_value() -> None:
    change = compare(group("count(*) OVER 24h AS c FROM clicks GROUP BY user_id"), group(SMOOTH, version=2))
    assert change is not None
    assert (change.kind, change.changed) == ("breaking", ("c",))


def test_new_and_removed() -> None:
    new, gone = compare(None, group()), compare(group(), None)
    assert new is not None
    assert gone is not None
    assert (new.kind, new.added) == ("new", ("clicks_1h", "events_1h", "share"))
    assert (gone.kind, gone.removed) == ("removed", ("clicks_1h", "events_1h", "share"))


def test_every_shipped_group_can_be_compared(shipped: Plan) -> None:
    for each in shipped.groups:
        assert compare(each, each) is None
