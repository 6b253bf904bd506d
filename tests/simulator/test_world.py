"""Laws of the synthetic world."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from headrace.demo import PACE
from simulator.item_vectors import IMAGE, TEXT
from simulator.world import World, WorldSettings, item_name, item_number

SMALL = WorldSettings(users=60, items=300, categories=6, births_per_s=2.0)


def world(seed: int = 0, settings: WorldSettings = SMALL) -> World:
    return World(settings, np.random.default_rng(seed))


def story(seed: int) -> list[tuple[int, list[float], list[object]]]:
    """What a world tells over 40 seconds: births, chances, reactions."""
    played, reactions = world(seed), np.random.default_rng(seed + 1)
    told: list[tuple[int, list[float], list[object]]] = []
    for second in range(40):
        born = played.advance(second)
        items = np.arange(len(played))[-10:]
        user = second % SMALL.users
        told.append((len(born), played.chances(user, items).tolist(), list(played.react(user, items, reactions))))
    return told


def test_a_seed_repeats_and_another_does_not() -> None:
    assert story(3) == story(3)
    assert story(3) != story(4)


def test_vectors_tell_of_the_style_and_move_nothing_else() -> None:
    told, bare = world(settings=structs.replace(SMALL, views=(IMAGE, TEXT))), world()
    told.advance(20)
    bare.advance(20)
    items = np.arange(len(told))
    np.testing.assert_array_equal(told.chances(3, items), bare.chances(3, items))
    vectors = [told.record(item, begun_ms=0).content for item in items.tolist()]
    there = np.array(["image" in vector for vector in vectors])
    assert there.mean() == pytest.approx(1 - IMAGE.missing, abs=0.08)
    seen = np.array([vector["image"] for vector in vectors if "image" in vector])
    assert seen.shape[1] == IMAGE.modality.width
    # what a linear reader makes of it explains most of what users want of the items, far more than a category does
    wanted = told.chances(3, items[there]) / np.exp(-np.log(2) * np.maximum(20 - told.born_s[there], 0) / SMALL.fade_s)
    assert fitted(seen, np.log(wanted)) > fitted(np.eye(SMALL.categories)[told.categories[there]], np.log(wanted)) + 0.2
    assert bare.record(0, begun_ms=0).content == {}


def fitted(inputs: np.ndarray, outputs: np.ndarray) -> float:
    """Share of the variance that a linear fit explains."""
    inputs = np.column_stack([inputs, np.ones(len(inputs))])
    left = outputs - inputs @ np.linalg.lstsq(inputs, outputs, rcond=None)[0]
    return float(1 - left.var() / outputs.var())


def test_time_moves_by_whole_seconds_however_it_is_asked() -> None:
    at_once, bit_by_bit = world(), world()
    at_once.advance(20.9)
    for step in range(210):
        bit_by_bit.advance(step / 10)
    assert at_once.now_s == bit_by_bit.now_s == 20
    assert np.array_equal(at_once.tastes, bit_by_bit.tastes)
    assert np.array_equal(at_once.born_s, bit_by_bit.born_s)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 59), st.lists(st.integers(0, 299), min_size=1, max_size=20), st.integers(0, 60))
def test_chances_lie_between_0_and_1(user: int, items: list[int], at_s: int) -> None:
    played = world()
    played.advance(at_s)
    chances = played.chances(user, np.array(items))
    assert ((chances > 0) & (chances < 1)).all()


def test_an_item_fades_and_a_lower_place_is_seen_less() -> None:
    still = WorldSettings(users=5, items=50, births_per_s=1.0, mood_s=1e12, trend_s=1e12, fade_s=100.0)
    played = world(settings=still)
    item = np.array([7])
    odds = (played.chances(0, item) / (1 - played.chances(0, item)))[0]
    played.advance(100)
    later = (played.chances(0, item) / (1 - played.chances(0, item)))[0]
    assert later / odds == pytest.approx(0.5, rel=1e-3)
    row = played.chances(0, np.full(10, 7))
    assert (np.diff(row) < 0).all()


def test_trend_and_tastes_wander_but_keep_their_spread() -> None:
    played = world(settings=WorldSettings(users=2000, items=50, births_per_s=0.1))
    trend, tastes = played.trend, played.tastes
    played.advance(600)
    assert not np.allclose(trend, played.trend)
    alike = np.corrcoef(tastes.ravel(), played.tastes.ravel())[0, 1]
    # a lasting share of 0.7, and a mood that has forgotten a factor e of itself
    assert alike == pytest.approx(0.7 + 0.3 * np.exp(-1), abs=0.03)
    assert played.tastes.std() == pytest.approx(1.0, abs=0.03)


def test_births_come_at_their_rate_in_order_and_with_their_time() -> None:
    played = world()
    before = len(played)
    born = np.concatenate([played.advance(second) for second in range(1, 401)])
    assert born.tolist() == list(range(before, len(played)))
    assert len(born) == pytest.approx(800, rel=0.15)
    times = played.born_s[born]
    assert (np.diff(times) >= 0).all()
    assert times.min() >= 0
    assert times.max() < 400


def test_the_first_items_are_as_old_as_past_births_would_have_left_them() -> None:
    ages = -world().born_s
    assert ages.min() > 0
    assert ages.max() <= SMALL.items / SMALL.births_per_s
    assert (np.diff(ages) <= 0).all()


def test_category_tells_a_part_of_the_style_only() -> None:
    played = world(settings=WorldSettings(users=400, items=4000, categories=10, births_per_s=4.0, quality=0.0))
    played.born_s[:] = 0  # of one age, so that only style is left
    every = np.arange(len(played))
    logits = np.stack([np.log(1 / (1 / played.chances(user, every) - 1)) for user in range(40)])
    logits = logits - logits.mean(axis=1, keepdims=True)
    told = np.zeros_like(logits)
    for category in range(10):
        mine = played.categories == category
        told[:, mine] = logits[:, mine].mean(axis=1, keepdims=True)
    assert 0.3 < told.var() / logits.var() < 0.7


def test_a_click_is_told_within_the_wait_of_a_slot() -> None:
    played, generator = world(), np.random.default_rng(1)
    reactions = [each for _ in range(400) for each in played.react(3, np.arange(len(played))[-10:], generator)]
    assert reactions
    assert all(0 < each.after_s < PACE.wait_ms / 1000 for each in reactions)


def test_an_item_name_gives_its_number_back() -> None:
    assert [item_number(item_name(number)) for number in (0, 7, 123_456)] == [0, 7, 123_456]
