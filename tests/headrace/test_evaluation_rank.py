"""Tasks rank and next: what they may know, that they repeat themselves, and that they find what is there to find."""

import numpy as np
import pytest
from msgspec import structs

from headrace.evaluation import items, rank
from headrace.evaluation.lagged_model import Elder
from headrace.evaluation.log import columns_of, read
from headrace.evaluation.rank_baselines import NOWHERE, Places
from headrace.evaluation.run import Settings, evaluate
from headrace.layout import FEATURES
from headrace.replay.recordings import Visit
from lang.planner.load import load_plan
from models.config import RankerConfig
from models.state import ModelState

CONFIG = RankerConfig()
ROWS = 900
HOUR_S = 3_600
BEGIN_S = 1_700_000_000


def log_of(path, rows, **more):
    path.write_text("who,what,when\n" + "".join(f"{','.join(map(str, row))}\n" for row in rows), encoding="utf-8")
    return read(path, columns_of("user=who,item=what,time=when", ()), warm_share=0.3, **more)


def rows_of(seed):
    """Two sorts of users keep to two halves of the items; what is popular moves on."""
    rng = np.random.default_rng(seed)
    rows = []
    for n in range(ROWS):
        user = int(rng.integers(60))
        drift = int(rng.integers(12)) + n // 90
        rows.append([f"u{user}", f"i{user % 2}-{drift}", BEGIN_S + n * 600])
    return rows


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    return evaluate(log_of(tmp_path_factory.mktemp("log") / "x.csv", rows_of(1)), SETTINGS, seen=lambda _: None)


SETTINGS = Settings(task="rank", seed=1, again=True, tops=(5,))


def test_it_tells_two_sorts_of_users_apart(report):
    clear = 3 * report.standard_errors["recall@5"]
    assert report.metrics["recall@5"] > report.baselines["decayed_popularity"]["recall@5"] + clear
    assert (report.rows, report.scored) == (ROWS, ROWS - round(ROWS * 0.3))
    assert set(report.metrics) == {"recall@5", "mrr@5", "ndcg@5"}


def test_the_same_log_and_seed_give_the_same_figures(tmp_path):
    log = log_of(tmp_path / "x.csv", rows_of(1)[:200])
    one, two = (evaluate(log, SETTINGS, seen=lambda _: None) for _ in range(2))
    assert (one.metrics, one.frozen, one.baselines) == (two.metrics, two.frozen, two.baselines)


def test_an_older_model_is_as_old_as_it_is_asked_to_be(tmp_path, report):
    log = log_of(tmp_path / "x.csv", rows_of(1))
    lags_s = (600, 400 * 600)
    told = evaluate(log, structs.replace(SETTINGS, lags_s=lags_s), seen=lambda _: None)
    assert (told.metrics, told.frozen, told.baselines) == (report.metrics, report.frozen, report.baselines)
    near, far = (told.lagged[str(lag_s)]["recall@5"] for lag_s in lags_s)
    assert abs(near - told.metrics["recall@5"]) < told.standard_errors["recall@5"]
    assert far < near


def test_an_elder_is_no_younger_than_its_lag_and_a_quarter_older_at_most():
    elder = Elder(1_000, from_ms=5_000)
    for at_ms in range(0, 9_000, 50):
        if elder.due(at_ms):
            elder.keep(at_ms, ModelState(config=CONFIG, tables={}, dense={}, version=str(at_ms)))
        if at_ms >= 5_000:
            assert 1_000 <= at_ms - int(elder.model(at_ms).version) <= 1_250


def ranked(path, rows, **asked):
    question = rank.Question(**{"again": True, "within_session": False, "freeze_at": 50, "seed": 1} | asked)
    return rank.run(log_of(path, rows), load_plan(FEATURES), question=question, seen=lambda _: None)


def test_a_row_knows_nothing_of_its_moment_or_later(tmp_path):
    rows = rows_of(2)[:120]
    for row in rows[117:]:
        row[2] = rows[117][2]
    other = [*rows[:118], ["u1", "i0-1", rows[117][2]], ["u2", "i0-1", rows[117][2]]]
    told = [ranked(tmp_path / name, each) for name, each in (("a.csv", rows), ("b.csv", other))]
    np.testing.assert_array_equal(told[0].ours[:118], told[1].ours[:118])


def test_what_was_never_seen_has_no_place_and_what_one_had_has_none_unless_it_may_come_again(tmp_path):
    rows = [["u1", "a", BEGIN_S], ["u2", "a", BEGIN_S + 60], ["u2", "b", BEGIN_S + 120], ["u1", "a", BEGIN_S + 180]]
    once, twice = (ranked(tmp_path / "x.csv", rows, again=again).ours for again in (False, True))
    assert once[[0, 2, 3]].tolist() == [NOWHERE] * 3
    assert once[1] == 1
    assert twice[3] in (1, 2)


def test_next_asks_only_of_what_follows_in_a_session(tmp_path):
    rows = [["u1", "a", 0], ["u1", "b", 60], ["u2", "a", 120], ["u1", "a", 60 + HOUR_S]]
    rows = [[user, item, BEGIN_S + after_s] for user, item, after_s in rows]
    assert ranked(tmp_path / "x.csv", rows, within_session=True).asked.tolist() == [False, True, False, False]


def test_baselines_by_hand():
    places = Places()

    def visit(user, item, day):
        return Visit(user_id=user, item_id=item, at_ms=day * 86_400_000, session_id=user, feedback=())

    for one in (
        visit("u1", "a", 0),
        visit("u2", "a", 0),
        visit("u3", "a", 0),
        visit("u1", "b", 20),
        visit("u2", "b", 20),
    ):
        places.add(one)
    asked = places.of(visit("u3", "b", 20), again=False)
    assert asked == {"popularity": 1, "decayed_popularity": 1, "item_knn": 1, "transitions": 1}
    asked = places.of(visit("u9", "b", 20), again=False)
    assert asked == {"popularity": 2, "decayed_popularity": 1, "item_knn": NOWHERE, "transitions": NOWHERE}
    assert places.of(visit("u1", "b", 20), again=False)["popularity"] == NOWHERE


def test_a_file_of_items_gives_categories_and_tags(tmp_path):
    (tmp_path / "items.dat").write_text("a::A film::Drama|War::1925\nb::Another::::\n", encoding="utf-8")
    about = items.read(tmp_path / "items.dat", items.columns_of("item=1,title=2,categories=3,year=4"))
    log = log_of(tmp_path / "x.csv", [["u1", item, BEGIN_S + n] for n, item in enumerate("abc")], about=about)
    told = {item.item_id: (item.category, item.title, item.tags) for item in log.recording.items}
    assert told == {
        "a": ("Drama", "A film", ["Drama", "War", "1925"]),
        "b": ("none", "Another", []),
        "c": ("none", None, []),
    }
