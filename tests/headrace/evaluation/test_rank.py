"""Tasks rank and next: no leak from the future, reproducible metrics, and the ranker learns."""

import numpy as np
import pytest
from msgspec import structs

from headrace.evaluation import items, rank
from headrace.evaluation.lagged_model import LaggedModel
from headrace.evaluation.log import parse_columns, read
from headrace.evaluation.rank_baselines import UNRANKED, RankBaselines
from headrace.evaluation.run import Settings, evaluate
from headrace.lang.planner.load import load_plan
from headrace.layout import FEATURES
from headrace.models.ranker.config import RankerConfig
from headrace.models.ranker.state import ModelState
from headrace.replay.recordings import Visit

CONFIG = RankerConfig()
ROWS = 900
HOUR_S = 3_600
BEGIN_S = 1_700_000_000


def log_of(path, rows, **more):
    path.write_text("who,what,when\n" + "".join(f"{','.join(map(str, row))}\n" for row in rows), encoding="utf-8")
    return read(path, parse_columns("user=who,item=what,time=when", ()), warm_share=0.3, **more)


def rows_of(seed):
    """Two kinds of users keep to two halves of the items; popularity drifts."""
    rng = np.random.default_rng(seed)
    rows = []
    for n in range(ROWS):
        user = int(rng.integers(60))
        drift = int(rng.integers(12)) + n // 90
        rows.append([f"u{user}", f"i{user % 2}-{drift}", BEGIN_S + n * 600])
    return rows


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    return evaluate(log_of(tmp_path_factory.mktemp("log") / "x.csv", rows_of(1)), SETTINGS, on_progress=lambda _: None)


SETTINGS = Settings(task="rank", seed=1, allow_repeats=True, tops=(5,))


def test_it_distinguishes_two_kinds_of_users(report):
    clear = 3 * report.standard_errors["recall@5"]
    assert report.metrics["recall@5"] > report.baselines["decayed_popularity"]["recall@5"] + clear
    assert (report.rows, report.scored) == (ROWS, ROWS - round(ROWS * 0.3))
    assert set(report.metrics) == {"recall@5", "mrr@5", "ndcg@5"}


def test_the_same_log_and_seed_give_the_same_metrics(tmp_path):
    log = log_of(tmp_path / "x.csv", rows_of(1)[:200])
    one, two = (evaluate(log, SETTINGS, on_progress=lambda _: None) for _ in range(2))
    assert (one.metrics, one.frozen, one.baselines) == (two.metrics, two.frozen, two.baselines)


def test_a_lagged_model_costs_what_its_lag_loses(tmp_path, report):
    log = log_of(tmp_path / "x.csv", rows_of(1))
    lags_s = (600, 400 * 600)
    lagged = evaluate(log, structs.replace(SETTINGS, lags_s=lags_s), on_progress=lambda _: None)
    assert (lagged.metrics, lagged.frozen, lagged.baselines) == (report.metrics, report.frozen, report.baselines)
    near, far = (lagged.lagged[str(lag_s)]["recall@5"] for lag_s in lags_s)
    assert abs(near - lagged.metrics["recall@5"]) < lagged.standard_errors["recall@5"]
    assert far < near


def test_a_lagged_model_is_as_old_as_its_lag_or_up_to_a_quarter_older():
    lagged = LaggedModel(1_000, from_ms=5_000)
    for at_ms in range(0, 9_000, 50):
        if lagged.is_due(at_ms):
            lagged.add(at_ms, ModelState(config=CONFIG, tables={}, dense={}, version=str(at_ms)))
        if at_ms >= 5_000:
            assert 1_000 <= at_ms - int(lagged.model_at(at_ms).version) <= 1_250


def ranks_of(path, rows, **settings):
    task = rank.RankTask(**{"allow_repeats": True, "within_session": False, "freeze_at": 50, "seed": 1} | settings)
    return rank.run(log_of(path, rows), load_plan(FEATURES), task=task, on_progress=lambda _: None)


def test_no_row_depends_on_rows_of_its_timestamp_or_later(tmp_path):
    rows = rows_of(2)[:120]
    for row in rows[117:]:
        row[2] = rows[117][2]
    other = [*rows[:118], ["u1", "i0-1", rows[117][2]], ["u2", "i0-1", rows[117][2]]]
    found = [ranks_of(tmp_path / name, each) for name, each in (("a.csv", rows), ("b.csv", other))]
    np.testing.assert_array_equal(found[0].ranks[:118], found[1].ranks[:118])


def test_an_unseen_item_is_unranked_and_so_is_a_repeat_unless_repeats_are_allowed(tmp_path):
    rows = [["u1", "a", BEGIN_S], ["u2", "a", BEGIN_S + 60], ["u2", "b", BEGIN_S + 120], ["u1", "a", BEGIN_S + 180]]
    once, twice = (ranks_of(tmp_path / "x.csv", rows, allow_repeats=allowed).ranks for allowed in (False, True))
    assert once[[0, 2, 3]].tolist() == [UNRANKED] * 3
    assert once[1] == 1
    assert twice[3] in (1, 2)


def test_next_scores_only_rows_that_follow_another_in_their_session(tmp_path):
    rows = [["u1", "a", 0], ["u1", "b", 60], ["u2", "a", 120], ["u1", "a", 60 + HOUR_S]]
    rows = [[user, item, BEGIN_S + after_s] for user, item, after_s in rows]
    assert ranks_of(tmp_path / "x.csv", rows, within_session=True).scored.tolist() == [False, True, False, False]


def test_baselines_by_hand():
    baselines = RankBaselines()

    def visit(user, item, day):
        return Visit(user_id=user, item_id=item, at_ms=day * 86_400_000, session_id=user, feedback=())

    for one in (
        visit("u1", "a", 0),
        visit("u2", "a", 0),
        visit("u3", "a", 0),
        visit("u1", "b", 20),
        visit("u2", "b", 20),
    ):
        baselines.add(one)
    ranks = baselines.ranks(visit("u3", "b", 20), allow_repeats=False)
    assert ranks == {"popularity": 1, "decayed_popularity": 1, "item_knn": 1, "transitions": 1}
    ranks = baselines.ranks(visit("u9", "b", 20), allow_repeats=False)
    assert ranks == {"popularity": 2, "decayed_popularity": 1, "item_knn": UNRANKED, "transitions": UNRANKED}
    assert baselines.ranks(visit("u1", "b", 20), allow_repeats=False)["popularity"] == UNRANKED


def test_a_file_of_items_gives_categories_and_tags(tmp_path):
    (tmp_path / "items.dat").write_text("a::A film::Drama|War::1925\nb::Another::::\n", encoding="utf-8")
    details = items.read(tmp_path / "items.dat", items.parse_columns("item=1,title=2,categories=3,year=4"))
    log = log_of(tmp_path / "x.csv", [["u1", item, BEGIN_S + n] for n, item in enumerate("abc")], details=details)
    found = {item.item_id: (item.category, item.title, item.tags) for item in log.recording.items}
    assert found == {
        "a": ("Drama", "A film", ["Drama", "War", "1925"]),
        "b": ("none", "Another", []),
        "c": ("none", None, []),
    }
