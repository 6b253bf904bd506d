"""What is exported: item features, the user features of requests, and that documents and rules agree."""

import re
import shutil
import subprocess
from collections import Counter

import msgspec
import numpy as np
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from headrace.connections.redis_clients import Client, connect
from headrace.lang.plan.plan import Plan
from headrace.layout import REPOSITORY
from headrace.schemas.defaults import WAIT_MS
from headrace.schemas.model.ranker_inputs import SHIPPED
from headrace.schemas.redis_keys import tiles_key
from headrace.serving.limits.shed import Shed
from headrace.serving.stages import hydrate
from headrace.serving.stages.hydrate import Hydrator
from headrace.serving.state import columns
from headrace.serving.state.item_features import ItemFeatures
from headrace.serving.state.query import Faults, Query
from headrace.serving.state.state import Live, Progress
from headrace.serving.telemetry import metrics
from headrace.serving.telemetry.consumers import STALLED_S, Consumers
from headrace.serving.telemetry.entity_counts import EntityCounts
from headrace.serving.telemetry.feeder_metrics import FeederMetrics
from headrace.serving.telemetry.freshness import FreshnessReader
from headrace.serving.telemetry.metrics import Metrics
from headrace.serving.telemetry.monitor import REFERENCE_MS, Monitor
from headrace.serving.telemetry.stopwatch import Stopwatch
from headrace.store.kafka.lag import Lag
from headrace.store.redis.reader import FeatureReader
from tests.support import serving_states as worlds
from tests.support.memory_stores import click, memory_store_of
from tests.support.paths import TESTS

RULES = REPOSITORY / "serving/alerts.yml"
CASES = TESTS / "serving" / "alerts.test.yml"
HEAT = "item_engagement.heat_6h"


def features(at_ms: int = worlds.NOW, **changes: float) -> ItemFeatures:
    """The features of a thousand items; `heat` replaces theirs, `times` multiplies it."""
    swept = worlds.state(count=1000).features
    values = swept.values.copy()
    heat = columns.SHIPPED_COLUMNS.column(values, HEAT)
    heat[:] = changes.get("heat", heat * changes.get("times", 1.0))
    return msgspec.structs.replace(swept, values=values, read_at=at_ms)


def sample(exported: Metrics | FeederMetrics, name: str, **labels: str) -> float | None:
    return exported.registry.get_sample_value(name, labels)


def test_a_column_gone_null_shows_and_the_others_do_not() -> None:
    exported = FeederMetrics(Progress())
    monitor = Monitor(exported)
    monitor.observe(features(), took_s=1.0)
    monitor.observe(features(heat=np.nan), took_s=2.0)
    watched = columns.SHIPPED_COLUMNS.features
    ratios = {name: sample(exported, "headrace_feature_null_ratio", feature=name) for name in watched}
    assert ratios == {name: float(name == HEAT) for name in watched}
    assert np.isnan(sample(exported, "headrace_feature_mean", feature=HEAT))
    assert np.isnan(sample(exported, "headrace_feature_psi", feature=HEAT))
    assert sample(exported, "headrace_feature_psi", feature=columns.SHIPPED_COLUMNS.features[0]) == 0
    assert sample(exported, "headrace_item_features_items") == 1000
    assert sample(exported, "headrace_item_features_seconds_sum") == 3.0


def test_the_reference_holds_for_a_day() -> None:
    exported = FeederMetrics(Progress())
    monitor, drifts = Monitor(exported), []
    day = REFERENCE_MS
    for at_ms, times in ((0, 1.0), (1, 3.0), (day - 1, 3.0), (day, 3.0), (day + 1, 1.0)):
        monitor.observe(features(worlds.NOW + at_ms, times=times), took_s=1.0)
        drifts.append(sample(exported, "headrace_feature_psi", feature=HEAT))
    assert [drift > 0.2 for drift in drifts] == [False, True, True, False, True]


def test_another_version_has_a_reference_of_its_own() -> None:
    exported = FeederMetrics(Progress())
    monitor = Monitor(exported)
    monitor.observe(features(), took_s=1.0)
    monitor.observe(msgspec.structs.replace(features(times=3.0), version={"item_engagement": 2}), took_s=1.0)
    assert sample(exported, "headrace_feature_psi", feature=HEAT) == 0


def test_an_empty_catalogue_is_no_fault_and_the_age_counts_from_its_reading() -> None:
    exported = FeederMetrics(Progress())
    assert 0 <= sample(exported, "headrace_item_features_age_seconds") < 60
    Monitor(exported).observe(msgspec.structs.replace(ItemFeatures.empty(), read_at=worlds.NOW), took_s=0.1)
    assert sample(exported, "headrace_item_features_age_seconds") > 1e6  # that was in 2023
    assert sample(exported, "headrace_item_features_items") == 0


def test_a_group_is_as_new_as_its_newest_event() -> None:
    exported = Metrics()
    newest = click(30_000)
    reader = FreshnessReader(memory_store_of(worlds.PLAN, [click(1), newest, click(2, user_id="u2")]), exported)
    for user_id in ("u1", "u2", "nobody"):
        Hydrator().hydrate(worlds.query(user_id=user_id), worlds.PLAN, reader, Faults())
    as_of_s = sample(exported, "headrace_group_as_of_timestamp_seconds", group="user_recent")
    assert as_of_s == newest["received_at"] / 1000
    assert (
        sample(exported, "headrace_group_as_of_timestamp_seconds", group="user_price") is None
    )  # no click had a price


def test_entities_are_counted_where_they_are_limited(client: Client) -> None:
    limited = msgspec.structs.replace(worlds.PLAN.group("user_recent"), max_entities=1_000)
    plan = Plan(worlds.PLAN.sources, (worlds.PLAN.group("item_heat"), limited))
    for user in range(3):
        client.set(tiles_key("user_recent", 1, f"u{user}"), b"")
    client.set(tiles_key("item_heat", 1, "i1"), b"")
    exported = FeederMetrics(Progress())
    EntityCounts(client, Live(plan), exported).count()
    entities, most = "headrace_group_entities", "headrace_group_max_entities"
    assert (sample(exported, entities, group="user_recent"), sample(exported, most, group="user_recent")) == (3, 1_000)
    assert sample(exported, entities, group="item_heat") is None
    EntityCounts(client, Live(worlds.PLAN), exported).count()
    assert sample(exported, entities, group="user_recent") is None, "the limit has gone"


def hydrated(user_id: str) -> Query:
    query, store = worlds.query(user_id=user_id), memory_store_of(worlds.PLAN, [click(1)])
    return msgspec.structs.replace(query, user=Hydrator().hydrate(query, worlds.PLAN, store, Faults()))


def test_user_features_are_null_where_the_store_has_nothing() -> None:
    exported = Metrics(hydrate.reads_of(SHIPPED))
    for user_id in ("u1", "nobody"):
        exported.count_slate(hydrated(user_id), Stopwatch(), level=0)
    names = hydrate.reads_of(SHIPPED)
    reads = {name: sample(exported, "headrace_user_feature_reads_total", feature=name) for name in names}
    nulls = {name: sample(exported, "headrace_user_feature_nulls_total", feature=name) for name in names}
    assert set(reads.values()) == {2}
    assert nulls["user_recent.clicks_24h"] == nulls["user_recent.recent_items"] == nulls["user_category.affinity"] == 1
    assert nulls["user_price.clicked_avg_30d"] == nulls["item_next.next_items"] == 2  # the click had no price
    assert sample(exported, "headrace_recommendations_total", surface="feed", level="L0") == 2
    assert sample(exported, "headrace_stage_seconds_count", stage="total") == 2


def test_a_store_that_does_not_answer_is_a_level_and_no_null() -> None:
    exported, faults = Metrics(hydrate.reads_of(SHIPPED)), Faults()
    query = worlds.query()
    nobody_listens = FeatureReader(connect("redis://127.0.0.1:1", timeout_s=0.1))
    user = Hydrator().hydrate(query, worlds.PLAN, nobody_listens, faults)
    exported.count_slate(msgspec.structs.replace(query, user=user), Stopwatch(), level=faults.level)
    assert sample(exported, "headrace_user_feature_reads_total", feature=hydrate.reads_of(SHIPPED)[0]) == 0
    assert sample(exported, "headrace_recommendations_total", surface="feed", level="L3") == 1


def test_surfaces_are_bounded() -> None:
    exported = Metrics()
    for number in range(50):
        exported.count_slate(worlds.query(surface=f"s{number}"), Stopwatch(), level=0)
    assert sample(exported, "headrace_recommendations_total", surface="s0", level="L0") == 1
    assert sample(exported, "headrace_recommendations_total", surface=metrics.OTHER, level="L0") == 30


def exported_names() -> set[str]:
    families = [*Metrics().registry.collect(), *FeederMetrics(Progress()).registry.collect()]
    return {f"{family.name}_total" if family.type == "counter" else family.name for family in families}


def test_every_metric_is_in_the_table_and_every_row_is_exported() -> None:
    section = (REPOSITORY / "docs/modules.md").read_text(encoding="utf-8").split("## Metrics")[1].split("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)`", section, re.MULTILINE)) == exported_names()


def test_the_feeders_metrics_are_added_to_the_workers() -> None:
    worker, feeder = Metrics(), FeederMetrics(Progress(rejected=Counter(hash=3)))
    for exported, group, as_of_ms in ((worker, "a", 1_000), (feeder, "a", 3_000), (worker, "b", 2_000)):
        exported.note_event(group, as_of_ms=as_of_ms)
    worker.count_error(503, Shed("", reason="late"))
    families = [*text_string_to_metric_families(worker.text(feeder.text().decode()).decode())]
    assert len({family.name for family in families}) == len(families)
    found = {(each.name, *each.labels.values()): each.value for family in families for each in family.samples}
    assert found["headrace_errors_total", "503"] == 1
    assert found["headrace_versions_refused_total", "hash"] == 3
    as_of = "headrace_group_as_of_timestamp_seconds"
    assert (found[as_of, "a"], found[as_of, "b"]) == (3, 2)


def test_rules_name_what_is_exported() -> None:
    rules = [rule for group in yaml.safe_load(RULES.read_bytes())["groups"] for rule in group["rules"]]
    named = [set(re.findall(r"headrace_\w+", rule["expr"])) for rule in rules]
    assert [rule["alert"] for rule, ours in zip(rules, named, strict=True) if not ours] == ["Restarts"]
    assert set().union(*named) <= exported_names()


def test_rules_fire_when_they_should() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not on PATH; it comes with Prometheus")
    for command in (["check", "rules", str(RULES)], ["test", "rules", str(CASES)]):
        done = subprocess.run([promtool, *command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_learner_may_hold_positives_for_a_whole_wait_before_an_alert() -> None:
    rules = RULES.read_text(encoding="utf-8")
    assert f"headrace_version_learnt_timestamp_seconds > {3 * WAIT_MS // 1000}\n" in rules


def test_a_consumer_without_progress_is_stalled_while_records_wait() -> None:
    live = worlds.live()
    consumers = Consumers(live, FeederMetrics(live.progress), readers=dict)
    lags = {"loader": Lag(behind=50, committed=100), "learner": Lag(behind=9, committed=7), "ingest": Lag(0, 5)}
    consumers.report(lags, 0.0)
    consumers.report(lags, STALLED_S)
    assert live.progress.stalled == (), "not for long enough"
    consumers.report({**lags, "learner": Lag(behind=9, committed=7)}, STALLED_S + 1)
    (reason,) = live.progress.stalled
    assert reason == "features are not updated: loader has made no progress for 121 s, 50 records wait for it"
    consumers.report({**lags, "loader": Lag(behind=50, committed=101)}, STALLED_S + 11)
    assert live.progress.stalled == ()
