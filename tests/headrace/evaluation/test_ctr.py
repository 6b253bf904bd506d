"""The progressive run of task ctr: no leak from the future, reproducible metrics, and the ranker learns."""

import numpy as np
import pytest

from headrace.evaluation import ctr
from headrace.evaluation.log import parse_columns, read
from headrace.evaluation.run import Settings, evaluate
from headrace.lang.planner.load import load_plan
from headrace.layout import FEATURES
from headrace.models.ranker.inputs import DENSE
from headrace.replay.writer import ExposureBuilder, build_events

ROWS = 3_000


def text_of(rows):
    return "who,what,when,clicked\n" + "".join(f"{','.join(map(str, row))}\n" for row in rows)


def rows_of(seed):
    """Users and items with different rates, three rows per timestamp; halfway through, preferences flip."""
    rng = np.random.default_rng(seed)
    users, items = rng.normal(size=40), rng.normal(size=60)
    rows = []
    for n in range(ROWS):
        user, item = rng.integers(40), rng.integers(60)
        odds = users[user] + 2 * items[item] * (1 if n < ROWS / 2 else -1)
        rows.append([f"u{user}", f"i{item}", 1_700_000_000 + n // 3 * 60, int(rng.random() < 1 / (1 + np.exp(-odds)))])
    return rows


def run(path, rows):
    path.write_text(text_of(rows), encoding="utf-8")
    log = read(path, parse_columns("user=who,item=what,time=when,label=clicked", ()), warm_share=0.3)
    return evaluate(log, Settings(seed=1), on_progress=lambda _: None)


def predictions_of(path, rows):
    path.write_text(text_of(rows), encoding="utf-8")
    log = read(path, parse_columns("user=who,item=what,time=when,label=clicked", ()), warm_share=0.3)
    return ctr.run(log, load_plan(FEATURES), task=ctr.CtrTask(freeze_at=200, seed=1), on_progress=lambda _: None)


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    return run(tmp_path_factory.mktemp("log") / "x.csv", rows_of(1))


def test_it_follows_a_change_of_preferences(report):
    clear = 3 * report.standard_errors["auc"]
    assert report.metrics["auc"] > report.frozen["auc"] + clear
    assert report.metrics["auc"] > report.baselines["user_item_rate"]["auc"]
    assert (report.rows, report.scored) == (ROWS, ROWS - round(ROWS * 0.3))


def test_the_same_log_and_seed_give_the_same_metrics(tmp_path):
    one, two = (run(tmp_path / "x.csv", rows_of(1)[:500]) for _ in range(2))
    assert (one.metrics, one.frozen, one.baselines) == (two.metrics, two.frozen, two.baselines)


def test_no_row_depends_on_rows_of_its_timestamp_or_later(tmp_path):
    rows = rows_of(2)[:600]
    turned = [[*row[:3], 1 - row[3]] if number >= 597 else row for number, row in enumerate(rows)]
    found = [predictions_of(tmp_path / name, each) for name, each in (("a.csv", rows), ("b.csv", turned))]
    np.testing.assert_array_equal(found[0].chances, found[1].chances)
    np.testing.assert_array_equal(found[0].baselines["user_item_rate"], found[1].baselines["user_item_rate"])
    assert not np.array_equal(found[0].labels, found[1].labels)


def test_what_a_user_saw_at_once_is_one_request(tmp_path):
    """In one request the more popular of two items ranks above the other; alone each ranks in the middle."""
    path, now = tmp_path / "slates.csv", 1_700_000_000
    rows = [(f"u{n}", "i0", now + n, 1, f"s{n}") for n in range(20)]
    rows += [("u99", item, now + 60, 0, "together") for item in ("i0", "i1")]
    rows += [("u99", item, now + 120, 0, "") for item in ("i0", "i1")]
    rows += [("u99", item, now + 180, 0, f"apart-{item}") for item in ("i0", "i1")]
    rows += [(user, item, now + 240, 0, "") for user, item in (("u98", "i0"), ("u99", "i1"))]
    text = "who,what,when,clicked,slate\n" + "".join(f"{','.join(map(str, row))}\n" for row in rows)
    path.write_text(text, encoding="utf-8")
    log = read(path, parse_columns("user=who,item=what,time=when,label=clicked,slate=slate", ()), warm_share=0.3)
    exposures, visits = ExposureBuilder(log.recording, load_plan(FEATURES)), log.recording.visits
    for row in range(20):
        exposures.add_events(build_events(f"row-{row}", visits[row]))
    rank, count = DENSE.index("item_engagement.clicks_24h.rank"), DENSE.index("request.count")
    found = {}
    for pair in ((20, 21), (22, 23), (24, 25), (26, 27)):
        samples = list(ctr.build_samples(exposures, log, pair))
        assert [sample.item_id for sample in samples] == ["i0", "i1"]
        dense = [np.frombuffer(sample.dense, "<f4") for sample in samples]
        found[pair] = [(float(row[rank]), round(float(row[count]), 4)) for row in dense]
    two, one = round(0.4 * float(np.log1p(2)), 4), round(0.4 * float(np.log1p(1)), 4)
    together, alone = [(1.0, two), (0.0, two)], [(0.5, one), (0.5, one)]
    assert found == {(20, 21): together, (22, 23): together, (24, 25): alone, (26, 27): alone}


def test_what_a_user_sees_later_does_not_count(tmp_path):
    """The size of a request is that of its own time, whatever the log says of the same user or slate after it."""
    now = 1_700_000_000
    rows = [("u0", item, now, 0) for item in ("i0", "i1")]
    later = [("u0", item, now + 1, 1) for item in ("i2", "i3", "i4")]
    found = [predictions_of(tmp_path / name, each) for name, each in (("a.csv", rows), ("b.csv", rows + later))]
    np.testing.assert_array_equal(found[0].chances, found[1].chances[:2])


def test_chances_are_calibrated_whatever_the_weight_of_a_click(report):
    assert report.metrics["calibration"] == pytest.approx(1.0, abs=0.05)
