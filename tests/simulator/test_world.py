"""Invariants of the synthetic world."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from headrace.demo import PACE
from headrace.simulator.item_vectors import IMAGE, TEXT
from headrace.simulator.world import World, WorldSettings, item_name, item_number

SMALL = WorldSettings(users=60, items=300, categories=6, births_per_s=2.0)


def world(seed: int = 0, settings: WorldSettings = SMALL) -> World:
    return World(settings, np.random.default_rng(seed))


def story(seed: int) -> list[tuple[int, list[float], list[object]]]:
    """Births, click probabilities and reactions of a world over 40 seconds."""
    simulated, reactions = world(seed), np.random.default_rng(seed + 1)
    seconds: list[tuple[int, list[float], list[object]]] = []
    for second in range(40):
        born = simulated.advance(second)
        items = np.arange(len(simulated))[-10:]
        user = second % SMALL.users
        seconds.append(
            (len(born), simulated.chances(user, items).tolist(), list(simulated.react(user, items, reactions)))
        )
    return seconds


def test_a_seed_repeats_and_another_does_not() -> None:
    assert story(3) == story(3)
    assert story(3) != story(4)


def test_vectors_reveal_the_style_and_change_nothing_else() -> None:
    with_vectors, bare = world(settings=structs.replace(SMALL, views=(IMAGE, TEXT))), world()
    with_vectors.advance(20)
    bare.advance(20)
    items = np.arange(len(with_vectors))
    np.testing.assert_array_equal(with_vectors.chances(3, items), bare.chances(3, items))
    vectors = [with_vectors.record(item, begun_ms=0).content for item in items.tolist()]
    present = np.array(["image" in vector for vector in vectors])
    assert present.mean() == pytest.approx(1 - IMAGE.missing, abs=0.08)
    images = np.array([vector["image"] for vector in vectors if "image" in vector])
    assert images.shape[1] == IMAGE.modality.width
    # a linear fit on the vectors explains much more of the preferences than the category does
    wanted = with_vectors.chances(3, items[present]) / np.exp(
        -np.log(2) * np.maximum(20 - with_vectors.born_s[present], 0) / SMALL.fade_s
    )
    assert (
        fitted(images, np.log(wanted))
        > fitted(np.eye(SMALL.categories)[with_vectors.categories[present]], np.log(wanted)) + 0.2
    )
    assert bare.record(0, begun_ms=0).content == {}


def fitted(inputs: np.ndarray, outputs: np.ndarray) -> float:
    """Share of the variance that a linear fit explains."""
    inputs = np.column_stack([inputs, np.ones(len(inputs))])
    left = outputs - inputs @ np.linalg.lstsq(inputs, outputs, rcond=None)[0]
    return float(1 - left.var() / outputs.var())


def test_time_advances_by_whole_seconds() -> None:
    at_once, in_steps = world(), world()
    at_once.advance(20.9)
    for step in range(210):
        in_steps.advance(step / 10)
    assert at_once.now_s == in_steps.now_s == 20
    assert np.array_equal(at_once.tastes, in_steps.tastes)
    assert np.array_equal(at_once.born_s, in_steps.born_s)


@settings(max_examples=50)
@given(st.integers(0, 59), st.lists(st.integers(0, 299), min_size=1, max_size=20), st.integers(0, 60))
def test_chances_lie_between_0_and_1(user: int, items: list[int], at_s: int) -> None:
    simulated = world()
    simulated.advance(at_s)
    chances = simulated.chances(user, np.array(items))
    assert ((chances > 0) & (chances < 1)).all()


def test_an_item_fades_and_a_lower_position_gets_fewer_clicks() -> None:
    still = WorldSettings(users=5, items=50, births_per_s=1.0, mood_s=1e12, trend_s=1e12, fade_s=100.0)
    simulated = world(settings=still)
    item = np.array([7])
    odds = (simulated.chances(0, item) / (1 - simulated.chances(0, item)))[0]
    simulated.advance(100)
    later = (simulated.chances(0, item) / (1 - simulated.chances(0, item)))[0]
    assert later / odds == pytest.approx(0.5, rel=1e-3)
    row = simulated.chances(0, np.full(10, 7))
    assert (np.diff(row) < 0).all()


def test_trend_and_tastes_wander_but_keep_their_spread() -> None:
    simulated = world(settings=WorldSettings(users=2000, items=50, births_per_s=0.1))
    trend, tastes = simulated.trend, simulated.tastes
    simulated.advance(600)
    assert not np.allclose(trend, simulated.trend)
    correlation = np.corrcoef(tastes.ravel(), simulated.tastes.ravel())[0, 1]
    # a lasting share of 0.7, and a mood that has decayed by a factor of e
    assert correlation == pytest.approx(0.7 + 0.3 * np.exp(-1), abs=0.03)
    assert simulated.tastes.std() == pytest.approx(1.0, abs=0.03)


def test_births_have_their_rate_order_and_time() -> None:
    simulated = world()
    before = len(simulated)
    born = np.concatenate([simulated.advance(second) for second in range(1, 401)])
    assert born.tolist() == list(range(before, len(simulated)))
    assert len(born) == pytest.approx(800, rel=0.15)
    times = simulated.born_s[born]
    assert (np.diff(times) >= 0).all()
    assert times.min() >= 0
    assert times.max() < 400


def test_the_first_items_have_ages_as_if_born_at_the_same_rate() -> None:
    ages = -world().born_s
    assert ages.min() > 0
    assert ages.max() <= SMALL.items / SMALL.births_per_s
    assert (np.diff(ages) <= 0).all()


def test_the_category_explains_only_a_part_of_the_style() -> None:
    simulated = world(settings=WorldSettings(users=400, items=4000, categories=10, births_per_s=4.0, quality=0.0))
    simulated.born_s[:] = 0  # one age for all, so that only style differs
    every = np.arange(len(simulated))
    logits = np.stack([np.log(1 / (1 / simulated.chances(user, every) - 1)) for user in range(40)])
    logits = logits - logits.mean(axis=1, keepdims=True)
    explained = np.zeros_like(logits)
    for category in range(10):
        members = simulated.categories == category
        explained[:, members] = logits[:, members].mean(axis=1, keepdims=True)
    assert 0.3 < explained.var() / logits.var() < 0.7


def test_clicks_come_within_the_wait_of_a_slot() -> None:
    simulated, generator = world(), np.random.default_rng(1)
    reactions = [each for _ in range(400) for each in simulated.react(3, np.arange(len(simulated))[-10:], generator)]
    assert reactions
    assert all(0 < each.after_s < PACE.wait_ms / 1000 for each in reactions)


def test_an_item_name_gives_its_number_back() -> None:
    assert [item_number(item_name(number)) for number in (0, 7, 123_456)] == [0, 7, 123_456]
