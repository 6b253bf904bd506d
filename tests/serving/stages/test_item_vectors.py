"""Vectors from an item's record to the learner's batch: the model learns from what was scored."""

import msgspec
import numpy as np

from headrace.learner.samples.collate import Collator
from headrace.models.content.modality import Fusion, Modality
from headrace.models.content.vectors import ContentLayout
from headrace.models.ranker.config import RankerConfig
from headrace.models.ranker.state import ModelState
from headrace.schemas.exposures import EXPOSURE
from headrace.schemas.samples import SAMPLE, Sample
from headrace.schemas.versions.aliases import LIVE
from headrace.serving.stages import record
from headrace.serving.stages.pipeline import rank
from headrace.serving.state.query import Faults
from headrace.serving.state.state import Live
from headrace.serving.telemetry.stopwatch import Stopwatch
from headrace.udfs.labels import close_slate, encode_samples
from headrace.udfs.slates import open_slate
from tests.support import serving_states as worlds

MODALITIES = (Modality(name="image", width=3), Modality(name="text", width=8))
CONFIG = RankerConfig(fusion=Fusion(modalities=MODALITIES))
LAYOUT = ContentLayout(MODALITIES)


def with_vectors(live: Live) -> Live:
    """Some items with an image, some with a title, some with neither."""
    rng = np.random.default_rng(3)
    items = [
        msgspec.structs.replace(
            item,
            content={"image": rng.normal(0, 1, 3).tolist()} if number % 2 else {},
            title=f"word{number % 7}" if number % 3 else None,
        )
        for number, item in enumerate(worlds.items(60, 6))
    ]
    live.set_catalogue(worlds.catalogue_of(items, LAYOUT))
    live.promote(LIVE, worlds.model(2, config=CONFIG), applied_at=worlds.NOW)
    return live


def test_the_model_learns_from_the_vectors_that_were_scored() -> None:
    state = with_vectors(worlds.live()).state
    slate, _ = rank(worlds.query(), state, Faults(), Stopwatch())
    sent = record.exposure(worlds.query(), slate, made_with=record.versions(slate), level=0, served_at=worlds.NOW)
    payload = sent.value or b""
    opened = open_slate(payload, wait_ms=0, correction_ms=0, negative_rate=1.0)
    rows = [Sample(**SAMPLE.decode(each)) for each in encode_samples(payload, opened, list(close_slate(opened)))]
    assert [row.content for row in rows] == EXPOSURE.decode(payload)["contents"]
    collator = Collator(CONFIG)
    assert [collator.fault(row) for row in rows] == [None] * len(rows)
    learnt = collator.batch(rows, worlds.NOW).content
    indexes = slate.scored.candidates.indexes[[slot.index for slot in slate.slots]]
    scored = state.catalogue.items(indexes).content
    assert learnt is not None
    assert scored is not None
    np.testing.assert_array_equal(learnt.values, scored.values)
    np.testing.assert_array_equal(learnt.missing, scored.missing)
    assert 0 < scored.missing.mean() < 1


def test_vectors_move_scores_and_the_index() -> None:
    live = with_vectors(worlds.live())
    rich = live.state
    live.set_catalogue(worlds.catalogue_of(worlds.items(60, 6), LAYOUT))
    bare = live.state
    assert np.abs(rich.models[LIVE].index.vectors - bare.models[LIVE].index.vectors).max() > 0.1
    (vectors, _), (without, _) = (rank(worlds.query(), each, Faults(), Stopwatch()) for each in (rich, bare))
    assert np.abs(vectors.scored.click - without.scored.click).max() > 0.01


def test_without_declared_modalities_no_vectors_are_sent() -> None:
    slate, _ = rank(worlds.query(), worlds.state(), Faults(), Stopwatch())
    sent = record.exposure(worlds.query(), slate, made_with=record.versions(slate), level=0, served_at=worlds.NOW)
    assert EXPOSURE.decode(sent.value or b"")["contents"] == []


def test_a_model_of_the_declaration_begins_empty() -> None:
    live = with_vectors(worlds.live())
    live.promote(LIVE, ModelState.empty(CONFIG), applied_at=worlds.NOW)
    slate, _ = rank(worlds.query(), live.state, Faults(), Stopwatch())
    assert set(slate.scored.click.tolist()) == {0.5}
