"""The event log matches its docstring, and the same seed gives the same log."""

from collections import Counter

import pytest

from benchmarks.harness.against_oracle import differences, sample, totals_of_log
from benchmarks.harness.pipeline import FOUR_GROUPS, shipped_plan
from benchmarks.inputs.event_log import KINDS, LATE_MS, SHARES, SPAN_MS, Scale, make_log
from headrace.lang.events.gate import Gate
from headrace.lang.plan.plan import Group, Key
from headrace.lang.planner.load import load_plan
from headrace.layout import FEATURES
from headrace.schemas.partition import partition_of
from headrace.schemas.topics import EVENT_PARTITIONS

END_MS = 1_800_000_000_000
SCALE = Scale(events=4_000, users=60, items=80)


def test_the_same_seed_gives_the_same_log() -> None:
    one, two = (make_log(SCALE, tag="t", seed=3, end_ms=END_MS).event_records() for _ in range(2))
    assert one == two
    assert one != make_log(SCALE, tag="t", seed=4, end_ms=END_MS).event_records()


def test_mix_duplicates_and_times() -> None:
    log = make_log(SCALE, tag="t", seed=3, end_ms=END_MS)
    once = {str(event["event_id"]): event for event in log.events}
    kinds = Counter(event["event_type"] for event in once.values())
    for kind, share in zip(KINDS, SHARES, strict=True):
        assert kinds[kind] / len(once) == pytest.approx(share, abs=0.02)
    assert 0.015 < len(log.events) / len(once) - 1 < 0.025
    times = [int(str(event["occurred_at"])) for event in once.values()]
    assert END_MS - SPAN_MS - LATE_MS - 60_000 < min(times) <= max(times) < END_MS


def test_ingest_accepts_each_event_once() -> None:
    log = make_log(SCALE, tag="t", seed=3, end_ms=END_MS)
    gate = Gate(load_plan(FEATURES).source("clickstream"))
    accepted = [event["event_id"] for event in log.events if gate.judge(event) == "accepted"]
    assert accepted == [event["event_id"] for event in log.accepted()]


def test_the_last_event_of_each_partition_is_of_a_sentinel() -> None:
    log = make_log(SCALE, tag="t", seed=3, end_ms=END_MS)
    last = {partition_of(str(event["user_id"]), EVENT_PARTITIONS): event for event in log.events}
    assert len(last) == EVENT_PARTITIONS
    assert all(str(event["user_id"]).startswith("t-z") for event in last.values())


def test_sentinels_touch_every_family_and_are_sampled() -> None:
    plan, log = shipped_plan(*FOUR_GROUPS), make_log(SCALE, tag="t", seed=3, end_ms=END_MS)
    of_sentinels = [event for event in log.accepted() if str(event["user_id"]).startswith("t-z")]
    totals = totals_of_log(plan, of_sentinels)
    families = sum(len(group.families) for group in plan.groups)
    assert len(totals) == families
    assert min(totals.values()) >= EVENT_PARTITIONS
    sampled = Counter(each.group.name for each in sample(plan, log, log.accepted(), seed=1) if "t-z" in each.key[0])
    assert min(sampled[group.name] for group in plan.groups) >= EVENT_PARTITIONS


def test_a_wrong_or_missing_value_is_a_difference() -> None:
    plan, log = shipped_plan(*FOUR_GROUPS), make_log(SCALE, tag="t", seed=3, end_ms=END_MS)
    expected = sample(plan, log, log.accepted(), seed=1)
    right = {(each.group.name, each.key): dict(each.values) for each in expected}

    def read(group: Group, keys: list[Key]) -> list[dict[str, object]]:
        return [dict(right[group.name, key]) for key in keys]

    assert differences(expected, read, ratio=1e-6) == []
    wrong = next(each for each in expected if each.group.name == "user_recent" and each.values["clicks_24h"])
    right["user_recent", wrong.key]["clicks_24h"] = float(str(wrong.values["clicks_24h"])) + 1
    assert len(differences(expected, read, ratio=1e-6)) == 1
    del right["user_recent", wrong.key]["clicks_24h"]
    assert len(differences(expected, read, ratio=1e-6)) == 1
