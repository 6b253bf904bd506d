"""The freshness study: readers and their versions, learners with late labels, and the page and its charts."""

import msgspec
import numpy as np
import pytest

from benchmarks.inputs.feedback_log import (
    Delays,
    FeedbackLog,
    delayed_samples,
    draw_delays,
    join_feedback,
    simulate,
    with_equal_weights,
)
from benchmarks.inputs.version_readers import (
    CADENCE_MS,
    FrozenReader,
    LaggingReader,
    LossyReader,
    Version,
    absolute_delta,
    additive_delta,
    is_lost,
)
from benchmarks.studies import charts
from benchmarks.studies.freshness_study import RESULT, Result
from benchmarks.studies.version_ages import figures, make_versions, predict_slots
from headrace.learner.settings import LoopSettings
from headrace.models.ranker.state import ModelState
from headrace.schemas.model.heads import SHIPPED_HEADS
from headrace.simulator.sample_stream import START_MS, WAIT_MS, stream
from headrace.simulator.warmup import WarmUpSettings
from headrace.simulator.world import WorldSettings

DELAYS = Delays(median_s=10.0, spread=1.0, wait_ms=10_000, correction_ms=3_600_000)


@pytest.fixture(scope="module")
def made() -> list[Version]:
    return list(make_versions(stream(3_000, every_ms=250), LoopSettings(wait_ms=WAIT_MS)))


@pytest.fixture(scope="module")
def log() -> FeedbackLog:
    world = WorldSettings(users=40, items=200, births_per_s=0.1)
    history = WarmUpSettings(begin_ms=START_MS, seconds=60, rate_per_s=1.0)
    return simulate(world, history, seed=1)


def test_a_lagging_reader_serves_a_version_of_that_age(made: list[Version]) -> None:
    fresh, behind, frozen = LaggingReader(CADENCE_MS), LaggingReader(3 * CADENCE_MS), FrozenReader(made[4].cut_ms)
    for number, version in enumerate(made):
        assert fresh.follow(version) is version.after
        assert behind.follow(version) is made[max(number - 2, 0)].after
        assert frozen.follow(version) is made[min(number, 4)].after


def same(one: ModelState, other: ModelState, table: str) -> np.ndarray:
    """Which rows of `other` have the same values in `one`."""
    rows = other.tables[table]
    found = one.tables[table]
    return np.isclose(found.rows(found.find(rows.ids)), rows.values, atol=1e-4).all(axis=1)


def test_whole_rows_repair_a_lost_version_and_differences_do_not(made: list[Version]) -> None:
    readers = [LossyReader(made[1].cut_ms, delta_of) for delta_of in (absolute_delta, additive_delta)]
    first_lost = next(number for number, version in enumerate(made) if number and is_lost(version))
    for number, version in enumerate(made):
        whole, summed = (reader.follow(version) for reader in readers)
        if number < first_lost:
            assert same(whole, version.after, "item").all()
            assert same(summed, version.after, "item").all()
    last = np.isin(version.after.tables["item"].ids, version.delta.update.tables["item"].ids)
    assert not is_lost(version)
    assert same(whole, version.after, "item")[last].all()
    assert same(summed, version.after, "item")[last].mean() < 0.2


def test_slots_are_predicted_before_any_feedback_on_them(made: list[Version]) -> None:
    rows = stream(3_000, every_ms=250)
    slots = [
        msgspec.structs.replace(row, known_at=row.served_at) for row in sorted(rows, key=lambda row: row.served_at)
    ]
    from_ms = made[5].cut_ms
    found = predict_slots(
        slots, iter(made), {"live": LaggingReader(CADENCE_MS), "frozen": FrozenReader(0)}, from_ms=from_ms
    )
    assert len(found.labels) == sum(from_ms <= slot.served_at < made[-1].cut_ms + CADENCE_MS for slot in slots)
    assert all(version.publication.manifest.to_ms < version.cut_ms for version in made)
    assert figures(found)["live"]["auc"] > figures(found)["frozen"]["auc"] + 0.05


def test_each_learner_receives_late_clicks_in_its_way(log: FeedbackLog) -> None:
    late_ms = draw_delays(log, DELAYS, np.random.default_rng(1))
    samples = {name: rows for name, (rows, _) in delayed_samples(log, late_ms, DELAYS).items()}
    clicks = {(row.request_id, row.position) for row in log.slots if row.click}
    early = {slot for slot in clicks if late_ms[slot] <= DELAYS.wait_ms}
    assert 0 < len(early) < len(clicks)
    clicks_by_name = {
        name: [((row.request_id, row.position), row.click) for row in rows if row.click is not None]
        for name, rows in samples.items()
    }
    for name, slots in {"oracle": clicks, "corrected": clicks, "wait": early, "naive": clicks}.items():
        assert {slot for slot, click in clicks_by_name[name] if click} == slots
    assert len(clicks_by_name["naive"]) == len(log.slots) + len(clicks)
    assert len(clicks_by_name["oracle"]) == len(clicks_by_name["wait"]) == len(log.slots)
    assert {row.weight for rows in samples.values() for row in rows} == {1.0}
    for rows in samples.values():
        assert [row.known_at for row in rows] == sorted(row.known_at for row in rows)


def test_slots_have_the_labels_of_the_join(log: FeedbackLog) -> None:
    clicks_by_name: dict[tuple[str, int], set[str]] = {}
    for row in with_equal_weights(join_feedback(log.exposures, log.events, wait_ms=WAIT_MS, correction_ms=WAIT_MS)):
        positive = {head for head in SHIPPED_HEADS.names if getattr(row, head)}
        clicks_by_name.setdefault((row.request_id, row.position), set()).update(positive)
    short = log.before(START_MS + 30_000)
    assert len(short.slots) < len(log.slots)
    for row in short.slots:
        positive = {head for head in SHIPPED_HEADS.names if getattr(row, head)}
        assert positive == clicks_by_name[row.request_id, row.position]


def test_the_page_and_its_charts_match_the_result() -> None:
    result = msgspec.json.decode(RESULT.read_bytes(), type=Result)
    page = charts.PAGE.read_text(encoding="utf-8")
    assert page == charts.update_page(page, result)
    for name, chart in charts.render_charts(result).items():
        assert (charts.DOCS / name).read_text(encoding="utf-8") == chart, f"{name} is outdated: run make docs"
        assert name in page
