"""The rivals that rank see rows only after they ranked them, and are scored against the product on the same rows."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import pytest

from benchmarks.inputs.periods import DAY_MS, HOUR_MS, periods
from benchmarks.inputs.positive_rows import PositiveRows, Ranking, rank_progressively, rows_of
from benchmarks.peers import implicit_peer, lightgbm_peer, session_knn
from benchmarks.peers.implicit_peer import DailyAls
from benchmarks.peers.session_knn import SessionKnn
from benchmarks.studies.film_rivals import RankScorer, product
from headrace.evaluation.log import parse_columns, read
from headrace.evaluation.rank_baselines import UNRANKED, RankBaselines
from headrace.models.array_types import Doubles
from headrace.replay.recordings import Visit


def visit(user: object, item: object, at_ms: int) -> Visit:
    return Visit(user_id=f"u{user}", item_id=f"i{item}", at_ms=at_ms, session_id="s", feedback=(("click", None),))


def rows(*visits: tuple[object, object, int]) -> PositiveRows:
    return rows_of([visit(*each) for each in visits])


class Named(Protocol):
    @property
    def name(self) -> str: ...


class Indifferent:
    """Gives each item the same score."""

    def scores(self, row: int, seen: int) -> Doubles:
        return np.zeros(seen)

    def add(self, row: int) -> None:
        pass


def test_without_a_preference_the_ranks_are_those_of_popularity_that_halves_each_week() -> None:
    rng, baselines, expected = np.random.default_rng(0), RankBaselines(), list[float]()
    pairs = rng.permutation(20 * 30)[:300]
    visits = [visit(pair // 30, pair % 30, number * HOUR_MS * 7) for number, pair in enumerate(pairs)]
    for each in visits:
        expected.append(baselines.ranks(each, allow_repeats=False)["decayed_popularity"])
        baselines.add(each)
    assert rank_progressively(rows_of(visits), Indifferent()).ranks.tolist() == expected


def test_the_product_ranks_the_same_rows_as_the_rivals(tmp_path: Path) -> None:
    path, rng = tmp_path / "log.csv", np.random.default_rng(1)
    pairs = rng.permutation(12 * 15)[:60]
    lines = [f"u{pair // 15},i{pair % 15},{1_650_000_000 + number // 2 * 7_000}" for number, pair in enumerate(pairs)]
    path.write_text("\n".join(["user,item,at", *lines]) + "\n")
    log = read(path, parse_columns("user=user,item=item,time=at", ()), warm_share=0.3)
    ours, popularity = product(log, freeze_at=18)
    rivals = rank_progressively(rows_of(log.recording.visits), Indifferent())
    assert popularity.ranks.tolist() == rivals.ranks.tolist()
    assert (ours.ranks < UNRANKED).sum() > 20
    assert np.isinf(ours.ranks[np.isinf(rivals.ranks)]).all()


def test_rows_of_one_timestamp_are_ranked_before_any_is_learned() -> None:
    ranks = rank_progressively(rows(("a", 1, 0), ("b", 1, 0), ("c", 1, 5), ("c", 1, 6)), Indifferent()).ranks
    assert ranks.tolist() == [UNRANKED, UNRANKED, 1.0, UNRANKED]  # not seen, not seen, the only candidate, had before


def test_a_period_is_predicted_from_the_rows_before_it() -> None:
    at_ms = [0, HOUR_MS - 1, HOUR_MS, 3 * HOUR_MS, 3 * HOUR_MS + 1]
    assert list(periods(at_ms, HOUR_MS)) == [(0, 2), (2, 3), (3, 5)]


def test_session_knn_scores_the_items_of_similar_sessions() -> None:
    log = rows(("a", 0, 0), ("a", 1, 1), ("b", 0, 2), ("b", 2, 3), ("b", 3, 4), ("c", 4, 5), ("d", 0, 6), ("d", 1, 7))
    knn = SessionKnn(log, session_knn.Settings(pause_days=1, half_life_days=1e9))
    for row in range(7):
        knn.add(row)
    # d has had item 0, as a, whose session has two items, and b, whose session has three
    one, other = 1 / np.sqrt(2), 1 / np.sqrt(3)
    assert knn.scores(7, 5) == pytest.approx([one + other, one, other, other, 0.0])
    assert rank_progressively(log, SessionKnn(log, session_knn.Settings(1, 30))).ranks[7] == 1.0


def test_items_at_the_end_of_a_session_count_more_and_old_rows_less() -> None:
    log = rows(("a", 0, 0), ("a", 1, 0), ("b", 2, 0), ("b", 3, 0), ("c", 0, 1), ("c", 2, 2), ("c", 3, DAY_MS))
    knn = SessionKnn(log, session_knn.Settings(pause_days=2, half_life_days=1))
    for row in range(6):
        knn.add(row)
    # c shares its first item, of weight 1/2, with a, and its last, of weight 1, with b; both are a day old
    assert knn.scores(6, 4) == pytest.approx([0.125, 0.125, 0.25, 0.25])


def test_a_session_ends_with_a_pause() -> None:
    log = rows(("a", 0, 0), ("a", 1, 1), ("b", 0, 2), ("b", 1, DAY_MS))
    for pause_days, scores in ((0.5, [0.0, 0.0]), (2, [2**-0.5, 2**-0.5])):
        knn = SessionKnn(log, session_knn.Settings(pause_days=pause_days, half_life_days=1e9))
        for row in range(3):
            knn.add(row)
        assert knn.scores(3, 2) == pytest.approx(scores)


def test_only_the_nearest_of_the_most_recent_sessions_count() -> None:
    log = rows(("a", 0, 0), ("a", 1, 1), ("b", 0, 2), ("c", 0, 3), ("c", 2, 4), ("d", 0, 5), ("d", 3, 6))
    settings = session_knn.Settings(pause_days=1, half_life_days=1e9, sampled=3, neighbours=1)
    knn = SessionKnn(log, settings)
    for row in range(6):
        knn.add(row)
    # the three most recent with item 0 are b, c and d itself; b has nothing else, so it is the nearest
    assert knn.scores(6, 4) == pytest.approx([1.0, 0.0, 0.0, 0.0])


def scores_of_the_last_rows(log: PositiveRows, folder: Path) -> list[Doubles]:
    folder.mkdir()
    with implicit_peer.implicit(log, folder) as process:
        als = DailyAls(process, implicit_peer.Settings(2, 0.1, 1, 30))
        return [als.scores(row, 4) for row in (len(log.items) - 2, len(log.items) - 1)]


def test_als_learns_what_users_have_together_on_the_next_day(tmp_path: Path) -> None:
    before = [("a", 0, 0), ("b", 1, 0), ("c", 2, 0), ("d", 3, 0)]
    after = [("a", 3, DAY_MS + HOUR_MS), ("a", 3, 2 * DAY_MS)]
    one, other = ([(f"e{user}", each, DAY_MS + user) for user in range(30) for each in (0, item)] for item in (1, 2))
    same_day, next_day = scores_of_the_last_rows(rows(*before, *one, *after), tmp_path / "one")
    other_same_day, other_next_day = scores_of_the_last_rows(rows(*before, *other, *after), tmp_path / "other")
    assert np.array_equal(same_day, other_same_day)
    assert same_day.any()
    assert next_day[1] > next_day[2] + 0.1
    assert other_next_day[2] > other_next_day[1] + 0.1


def test_als_folds_in_what_a_user_had_since_the_fit(tmp_path: Path) -> None:
    together = [(f"{kind}{user}", item, user) for user in range(30) for kind, item in (("e", 0), ("e", 1), ("f", 2))]
    log = rows(*together, ("f0", 3, 40), ("g", 0, DAY_MS), ("g", 3, DAY_MS + 1))
    first, then = scores_of_the_last_rows(log, tmp_path / "als")
    assert not first.any()
    assert then[1] > then[2] + 0.1


def test_als_puts_items_since_the_fit_last(tmp_path: Path) -> None:
    log = rows(("a", 0, 0), ("b", 1, 0), ("c", 2, DAY_MS), ("d", 3, DAY_MS), ("a", 2, DAY_MS + 1), ("a", 3, DAY_MS + 1))
    assert np.isneginf(scores_of_the_last_rows(log, tmp_path / "als")).tolist() == [[False, False, True, True]] * 2


@pytest.mark.parametrize("settings", [implicit_peer.SETTINGS, session_knn.SETTINGS, *lightgbm_peer.SETTINGS.values()])
def test_a_rival_has_five_settings_and_their_names_differ(settings: Sequence[Named]) -> None:
    assert len({each.name for each in settings}) == 5


def test_each_figure_is_that_of_its_best_setting_next_to_the_product_on_the_same_rows() -> None:
    users, ours = [0, 1, 2, 3], np.array([1.0, 1.0, 15.0, UNRANKED])
    near = Ranking(np.array([9.0, 5.0, 11.0, 11.0, 11.0]), 1.0)
    far = Ranking(np.array([9.0, 5.0, 12.0, 30.0, 30.0]), 1.0)
    one = Ranking(np.array([9.0, 1.0, 1.0, 21.0, 21.0]), 1.0)
    scored = RankScorer(users, ours).best("rival", {"near": near, "far": far, "one": one})
    ten, twenty = scored.best["recall@10"], scored.best["recall@20"]
    assert (ten.setting, ten.value.value, ten.ahead.value) == ("one", 0.5, 0.0)
    assert (twenty.setting, twenty.value.value, twenty.ahead.value) == ("near", 1.0, -0.25)
    assert twenty.ahead.error == pytest.approx(0.25)  # of 0, 0, 0 and -1: sqrt(0.75 * 4 / 3) / 4
    assert scored.tried["far"]["recall@20"] == 0.5
