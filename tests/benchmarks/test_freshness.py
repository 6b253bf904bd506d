"""The freshness study: who answers by which version, what late labels come to, and that the page is the result's."""

import msgspec
import numpy as np
import pytest

from benchmarks.inputs.feedback_log import Delays, Tape, drawn, even, joined, played, told
from benchmarks.inputs.version_readers import CADENCE_MS, Behind, Frozen, Lossy, Version, absolute, additive, lost
from benchmarks.studies import charts
from benchmarks.studies.freshness_study import RESULT, Result
from benchmarks.studies.version_ages import figures, read, versions
from learner.settings import LoopSettings
from models.state import ModelState
from simulator.sample_stream import START_MS, WAIT_MS, stream
from simulator.warmup import WarmUpSettings
from simulator.world import WorldSettings

DELAYS = Delays(median_s=10.0, spread=1.0, wait_ms=10_000, correction_ms=3_600_000)


@pytest.fixture(scope="module")
def made() -> list[Version]:
    return list(versions(stream(3_000, every_ms=250), LoopSettings(wait_ms=WAIT_MS)))


@pytest.fixture(scope="module")
def tape() -> Tape:
    world = WorldSettings(users=40, items=200, births_per_s=0.1)
    history = WarmUpSettings(begin_ms=START_MS, seconds=60, rate_per_s=1.0)
    return played(world, history, seed=1)


def test_a_reader_who_is_behind_answers_by_a_version_as_old_as_that(made: list[Version]) -> None:
    fresh, behind, frozen = Behind(CADENCE_MS), Behind(3 * CADENCE_MS), Frozen(made[4].cut_ms)
    for number, version in enumerate(made):
        assert fresh.follow(version) is version.after
        assert behind.follow(version) is made[max(number - 2, 0)].after
        assert frozen.follow(version) is made[min(number, 4)].after


def same(one: ModelState, other: ModelState, table: str) -> np.ndarray:
    """Which of the other's rows both have alike."""
    rows = other.tables[table]
    mine = one.tables[table]
    return np.isclose(mine.rows(mine.find(rows.ids)), rows.values, atol=1e-4).all(axis=1)


def test_what_is_lost_heals_where_rows_come_whole_and_stays_where_differences_come(made: list[Version]) -> None:
    readers = [Lossy(made[1].cut_ms, taken) for taken in (absolute, additive)]
    gone = next(number for number, version in enumerate(made) if number and lost(version))
    for number, version in enumerate(made):
        whole, summed = (reader.follow(version) for reader in readers)
        if number < gone:
            assert same(whole, version.after, "item").all()
            assert same(summed, version.after, "item").all()
    last = np.isin(version.after.tables["item"].ids, version.delta.update.tables["item"].ids)
    assert not lost(version)
    assert same(whole, version.after, "item")[last].all()
    assert same(summed, version.after, "item")[last].mean() < 0.2


def test_slots_are_told_before_they_are_heard_of(made: list[Version]) -> None:
    rows = stream(3_000, every_ms=250)
    slots = [
        msgspec.structs.replace(row, known_at=row.served_at) for row in sorted(rows, key=lambda row: row.served_at)
    ]
    from_ms = made[5].cut_ms
    found = read(slots, iter(made), {"live": Behind(CADENCE_MS), "frozen": Frozen(0)}, from_ms=from_ms)
    assert len(found.labels) == sum(from_ms <= slot.served_at < made[-1].cut_ms + CADENCE_MS for slot in slots)
    assert all(version.publication.manifest.to_ms < version.cut_ms for version in made)
    assert figures(found)["live"]["auc"] > figures(found)["frozen"]["auc"] + 0.05


def test_late_clicks_are_heard_as_each_learner_hears_them(tape: Tape) -> None:
    late_ms = drawn(tape, DELAYS, np.random.default_rng(1))
    heard = {name: rows for name, (rows, _) in told(tape, late_ms, DELAYS).items()}
    clicks = {(row.request_id, row.position) for row in tape.slots if row.click}
    early = {slot for slot in clicks if late_ms[slot] <= DELAYS.wait_ms}
    assert 0 < len(early) < len(clicks)
    said = {
        name: [((row.request_id, row.position), row.click) for row in rows if row.click is not None]
        for name, rows in heard.items()
    }
    for name, slots in {"oracle": clicks, "corrected": clicks, "wait": early, "naive": clicks}.items():
        assert {slot for slot, click in said[name] if click} == slots
    assert len(said["naive"]) == len(tape.slots) + len(clicks)
    assert len(said["oracle"]) == len(said["wait"]) == len(tape.slots)
    assert {row.weight for rows in heard.values() for row in rows} == {1.0}
    for rows in heard.values():
        assert [row.known_at for row in rows] == sorted(row.known_at for row in rows)


def test_slots_have_the_labels_that_the_join_says(tape: Tape) -> None:
    said: dict[tuple[str, int], set[str]] = {}
    for row in even(joined(tape.exposures, tape.events, wait_ms=WAIT_MS, correction_ms=WAIT_MS)):
        positive = {head for head in ("click", "converted", "engagement") if getattr(row, head)}
        said.setdefault((row.request_id, row.position), set()).update(positive)
    short = tape.until(START_MS + 30_000)
    assert len(short.slots) < len(tape.slots)
    for row in short.slots:
        positive = {head for head in ("click", "converted", "engagement") if getattr(row, head)}
        assert positive == said[row.request_id, row.position]


def test_the_page_and_its_charts_are_what_the_result_says() -> None:
    result = msgspec.json.decode(RESULT.read_bytes(), type=Result)
    page = charts.PAGE.read_text(encoding="utf-8")
    assert page == charts.written(page, result)
    for name, chart in charts.drawn(result).items():
        assert (charts.DOCS / name).read_text(encoding="utf-8") == chart, f"{name} is old: make docs"
        assert name in page
