"""Laws of every slate, whatever the request and the state."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.schemas.exposures import EXPOSURE
from headrace.schemas.versions.aliases import LIVE
from headrace.serving.limits.effort import Effort
from headrace.serving.stages import record
from headrace.serving.stages.pipeline import rank
from headrace.serving.stages.record import Slate
from headrace.serving.stages.rules import DEFAULTS
from headrace.serving.state.experiment import Arm
from headrace.serving.state.query import Faults, Query, ids_of
from headrace.serving.state.state import ServingState
from headrace.serving.telemetry.stopwatch import Stopwatch
from tests.support import serving_states as worlds

STATES = {
    (model, features): worlds.state(count=400, categories=8, with_model=model, with_features=features)
    for model in (True, False)
    for features in (True, False)
}
names = st.sampled_from([f"i{n}" for n in range(400)])
queries = st.builds(
    lambda history, follow, exclude, count, seed, arm: worlds.query(
        seed, count=count, exclude=ids_of(list(exclude)), arm=arm, user=worlds.user(history, follow)
    ),
    st.lists(names, max_size=20, unique=True),
    st.lists(names, max_size=60, unique=True),
    st.lists(names, max_size=40),
    st.integers(1, 100),
    st.integers(0, 1 << 40),
    st.sampled_from([worlds.MODEL, worlds.POPULAR, Arm(name="frozen", share=1, policy="model:frozen")]),
)


def slate_of(query: Query, state: ServingState, effort: Effort = "full") -> tuple[Slate, Faults]:
    faults = Faults()
    slate, _ = rank(query, state, faults, Stopwatch(), effort=effort)
    return slate, faults


@settings(max_examples=60)
@given(queries, st.sampled_from(sorted(STATES)), st.sampled_from(["full", "light", "list"]))
def test_laws(query: Query, known: tuple[bool, bool], effort: Effort) -> None:
    state = STATES[known]
    slate, faults = slate_of(query, state, effort)
    made_with = record.versions(slate)
    answer = record.answer(query, slate, made_with=made_with, faults=faults, experiment="e")
    shown = [item.id for item in answer.items]
    assert [item.rank for item in answer.items] == list(range(len(shown)))
    assert len(shown) == query.count
    assert len(set(shown)) == len(shown)
    assert not set(shown) & set(query.user.history)
    assert not set(ids_of(shown).tolist()) & set(query.exclude.tolist())
    assert set(shown) <= set(state.catalogue.names)
    assert all(0 < item.propensity <= 1 and item.sources for item in answer.items)
    head = [state.catalogue.category(int(slate.scored.candidates.indexes[slot.index])) for slot in slate.slots[:10]]
    assert max(head.count(category) for category in head) <= DEFAULTS.category_cap
    sent = record.exposure(query, slate, made_with=made_with, level=faults.level, served_at=worlds.NOW)
    exposure = EXPOSURE.decode(sent.value or b"")
    assert [slot["item_id"] for slot in exposure["slots"]] == shown
    assert exposure["model_version"] == answer.versions.model
    assert exposure["trainable"] == (faults.level <= 2)
    assert sent.key == exposure["request_id"]


@pytest.mark.parametrize(
    ("known", "arm", "level", "version"),
    [
        ((True, True), worlds.MODEL, 0, "1.1"),
        ((True, True), worlds.POPULAR, 0, ""),
        ((False, True), worlds.POPULAR, 1, ""),
        ((False, True), worlds.MODEL, 2, ""),
        ((True, True), Arm(name="frozen", share=1, policy="model:frozen"), 2, ""),
        ((True, False), worlds.MODEL, 4, "1.1"),
    ],
)
def test_every_rung_is_marked(known: tuple[bool, bool], arm: Arm, level: int, version: str) -> None:
    slate, faults = slate_of(worlds.query(arm=arm), STATES[known])
    assert faults.level == level, faults.reasons
    assert record.versions(slate).model == version


def test_at_level_2_the_light_ranker_of_live_orders() -> None:
    query = worlds.query(arm=Arm(name="frozen", share=1, policy="model:frozen"), count=20)
    state = STATES[True, True]
    slate, faults = slate_of(query, state)
    scored = slate.scored
    np.testing.assert_array_equal(scored.click, state.models[LIVE].model.score_light(scored.dense))
    np.testing.assert_allclose(scored.score, scored.click * scored.lift, rtol=1e-6)
    assert np.ptp(scored.click) > 0.001
    assert faults.reasons == ["no model under alias 'frozen': ordered by the light ranker of version 1.1"]


def test_an_empty_catalogue_gives_an_empty_slate() -> None:
    slate, faults = slate_of(worlds.query(), worlds.state(count=0))
    assert slate.slots == []
    assert faults.level == 5


def test_a_slate_repeats_itself() -> None:
    query = worlds.query(7, count=50, user=worlds.user(["i3"], ["i4"]))
    first, second = (slate_of(query, STATES[True, True])[0] for _ in range(2))
    assert first.slots == second.slots
    assert first.scored.score.tobytes() == second.scored.score.tobytes()


@pytest.mark.parametrize("count", [4, 25])
def test_propensities_are_the_frequencies(count: int) -> None:
    """Over many draws an item is shown at a position as often as its propensity says."""
    state = worlds.state(count=320, categories=5, with_model=False)
    rounds, seen, propensities = 1200, {}, {}
    for seed in range(rounds):
        slate, _ = slate_of(worlds.query(seed, count=count), state)
        for position, slot in enumerate(slate.slots):
            item = int(slate.scored.candidates.ids[slot.index])
            seen[position, item] = seen.get((position, item), 0) + 1
            assert propensities.setdefault((position, item), slot.propensity) == pytest.approx(slot.propensity)
    for position in range(count):
        ranked = [key for key in seen if key[0] == position and propensities[key] > 0.5]
        assert len(ranked) == 1  # the order does not depend on the draw
        chance = propensities[ranked[0]]
        assert seen[ranked[0]] / rounds == pytest.approx(chance, abs=4 * np.sqrt(chance * (1 - chance) / rounds))
        assert 1 - DEFAULTS.exploration - 1e-9 <= chance <= 1
    explored = sum(count for key, count in seen.items() if propensities[key] < 0.5)
    expected = rounds * sum(1 - propensities[key] for key in seen if propensities[key] > 0.5)
    assert explored == pytest.approx(expected, abs=4 * np.sqrt(expected))
    assert sum(propensities[key] for key in seen) <= count * (1 + 1e-9)  # what never came up has its share too
