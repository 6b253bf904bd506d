"""An exposure and its model's version give the scores of the answer again, bit for bit."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.models.content.modality import Fusion, Modality
from headrace.models.content.vectors import ContentLayout
from headrace.models.ranker.config import RankerConfig
from headrace.schemas.exposures import EXPOSURE, Exposure
from headrace.serving.offline.replayed_slate import NotReplayable, replay
from headrace.serving.stages import record
from headrace.serving.stages.pipeline import rank
from headrace.serving.stages.rules import DEFAULTS
from headrace.serving.state.query import Faults, Query
from headrace.serving.state.state import Live, ServingState
from headrace.serving.telemetry.stopwatch import Stopwatch
from tests.support import serving_states as worlds

STATE = worlds.state(count=700, categories=9)
names = st.sampled_from([f"i{n}" for n in range(700)])
queries = st.builds(
    lambda history, follow, count, seed, boost: worlds.query(
        seed,
        count=count,
        user=msgspec.structs.replace(worlds.user(history, follow), boosts={"category": {"c1": boost}}),
    ),
    st.lists(names, max_size=30, unique=True),
    st.lists(names, max_size=60, unique=True),
    st.integers(1, 60),
    st.integers(0, 1 << 40),
    st.floats(0.2, 5.0),
)


def served(query: Query, state: ServingState) -> tuple[Exposure, list[float]]:
    """The exposure as it is read from the log, and the scores of the answer."""
    slate, _ = rank(query, state, Faults(), Stopwatch())
    made_with = record.versions(slate)
    answer = record.answer(query, slate, made_with=made_with, faults=Faults(), experiment="e")
    sent = record.exposure(query, slate, made_with=made_with, level=0, served_at=worlds.NOW)
    return msgspec.convert(EXPOSURE.decode(sent.value or b""), Exposure), [item.score for item in answer.items]


@settings(max_examples=150)
@given(queries)
def test_a_replay_gives_the_scores_of_the_answer(query: Query) -> None:
    exposure, scores = served(query, STATE)
    again = replay(exposure, STATE.models["live"].model, blend_by=DEFAULTS.blend)
    assert exposure.ranking
    assert again.order.tolist() == scores == exposure.ranking.orders
    assert again.click.tolist() == [slot.score for slot in exposure.slots]


def test_items_with_vectors_are_replayed_too() -> None:
    config = RankerConfig(fusion=Fusion(modalities=(Modality(name="image", width=3),)))
    layout = ContentLayout(config.modalities)
    items = [
        msgspec.structs.replace(item, content={"image": [float(n % 7), 0.5, -1.0]} if n % 2 else {})
        for n, item in enumerate(worlds.items(300, 6))
    ]
    live = Live(worlds.PLAN)
    live.set_catalogue(worlds.catalogue_of(items, layout))
    live.promote("live", worlds.model(4, config=config), applied_at=worlds.NOW)
    exposure, scores = served(worlds.query(user=worlds.user(["i1", "i2"], ["i5"])), live.state)
    again = replay(exposure, live.state.models["live"].model, blend_by=DEFAULTS.blend)
    assert again.order.tolist() == scores


def test_another_model_gives_other_scores() -> None:
    exposure, scores = served(worlds.query(), STATE)
    assert replay(exposure, worlds.model(77), blend_by=DEFAULTS.blend).order.tolist() != scores


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"model_version": ""}, "no model ranked it"),
        ({"feature_set": "other"}, "feature set other"),
        ({"ranking": None}, "did not log how"),
    ],
)
def test_what_cannot_be_replayed_says_why(changes: dict[str, object], says: str) -> None:
    exposure, _ = served(worlds.query(), STATE)
    with pytest.raises(NotReplayable, match=says):
        replay(msgspec.structs.replace(exposure, **changes), worlds.model(0), blend_by=DEFAULTS.blend)


def test_reasons_are_those_of_the_answer() -> None:
    query = worlds.query(explain="basic", user=worlds.user(["i1", "i7"], ["i2", "i3"]))
    slate, _ = rank(query, STATE, Faults(), Stopwatch())
    answer = record.answer(query, slate, made_with=record.versions(slate), faults=Faults(), experiment="e")
    exposure, _ = served(query, STATE)
    assert exposure.ranking
    for item, why in zip(answer.items, exposure.ranking.reasons, strict=True):
        assert item.reason.startswith(why)
