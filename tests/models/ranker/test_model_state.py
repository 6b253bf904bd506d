"""Serving's model: applying every version equals loading the snapshot, and an old state never changes."""

import hashlib

import msgspec
import numpy as np
import pytest
from msgspec import structs

from headrace.models.index.exact import NumpyIndex
from headrace.models.ranker.config import RankerConfig
from headrace.models.ranker.state import ModelState
from headrace.models.ranker.training import Trainer
from headrace.schemas.versions.delta import Delta, Manifest, Update, decode_chunks, encode_chunks
from tests.support.batches import ITEMS, batch, items_of

DAY_MS = 86_400_000
CONFIG = RankerConfig(
    dim=4, history=5, attention=6, rank=5, hidden=(8, 6), vector=4, item_keep_ms=DAY_MS, user_keep_ms=DAY_MS
)


def delta_of(update, seq):
    chunks = encode_chunks(update)
    manifest = Manifest(
        model="m",
        epoch=1,
        seq=seq,
        parent="" if seq == 1 else "p",
        chunks=[hashlib.sha256(chunk).hexdigest() for chunk in chunks],
        schema=CONFIG.schema(),
        settings=CONFIG.settings(),
        from_ms=0,
        to_ms=0,
        offsets={},
        rows={},
        gone={},
        stats={},
    )
    return Delta(manifest, str(seq), decode_chunks(chunks))


def apply_versions(versions=6):
    """A trainer, and a state that applied all its versions, with items expiring on the way."""
    trainer, state = Trainer(CONFIG, np.random.default_rng(0)), ModelState.empty(CONFIG)
    for seq in range(1, versions + 1):
        few = ITEMS[seq * 5 : seq * 5 + 10]
        sample = batch(seq, at_ms=seq * DAY_MS // 2)
        trainer.learn(structs.replace(sample, items=few[sample.items % 10]))
        state = state.apply(delta_of(trainer.changes(), seq))
    return trainer, state


def same(actual, expected):
    assert actual.tables.keys() == expected.tables.keys()
    for name in actual.tables:
        np.testing.assert_array_equal(actual.tables[name].ids, expected.tables[name].ids)
        np.testing.assert_array_equal(actual.tables[name].values, expected.tables[name].values)
    for name in actual.dense:
        np.testing.assert_array_equal(actual.dense[name], expected.dense[name])


def test_following_versions_equals_loading_the_snapshot():
    trainer, state = apply_versions()
    assert state.version == "1.6"
    assert 1 < len(state.tables["item"]) < 31  # some have been forgotten
    same(state, ModelState.from_training_state(CONFIG, trainer.state(), version="1.6"))


def test_a_whole_version_forgets_what_was_there():
    trainer, state = apply_versions()
    trainer.mark_all_changed()
    whole = delta_of(trainer.changes(), 1)
    stranger = state.tables["item"].apply(
        structs.replace(whole.update.tables["item"], ids=np.array([5]), rows=np.ones((1, CONFIG.width), np.float32))
    )
    crowded = structs.replace(state, tables={**state.tables, "item": stranger})
    same(crowded.apply(whole), state)


def test_applying_leaves_the_old_state_alone():
    trainer, state = apply_versions(3)
    before = msgspec.json.encode({name: rows.values.tolist() for name, rows in state.tables.items()})
    trainer.learn(batch(9, at_ms=2 * DAY_MS))
    newer = state.apply(delta_of(trainer.changes(), 4))
    assert msgspec.json.encode({name: rows.values.tolist() for name, rows in state.tables.items()}) == before
    assert newer.version != state.version
    assert (newer.dense["head"] != state.dense["head"]).any()


def test_what_does_not_fit_is_refused():
    _, state = apply_versions(1)
    with pytest.raises(ValueError, match="settings say"):
        state.apply(delta_of(Update({}, {"head": np.ones((2, 2), np.float32)}), 2))
    rows = structs.replace(
        apply_versions(1)[0].changes().tables["item"],
        ids=np.array([1]),
        rows=np.ones((1, CONFIG.width + 2), np.float32),
    )
    with pytest.raises(ValueError, match="wide"):
        state.apply(delta_of(Update({"item": rows}, {}), 2))
    with pytest.raises(ValueError, match="unknown"):
        state.apply(delta_of(Update({"shop": rows}, {}), 2))


def test_an_empty_model_scores_everything_alike():
    state = ModelState.empty(CONFIG)
    sample = batch(0, size=9)
    scores = state.score(0, sample.history[0], items=items_of(sample), inputs=sample.dense)
    assert set(scores.click.tolist()) == {0.5}


def test_settings_travel_as_text_and_the_schema_is_about_shapes():
    assert RankerConfig.parse(CONFIG.settings()) == CONFIG
    assert structs.replace(CONFIG, dense_rate=0.5).schema() == CONFIG.schema()
    assert structs.replace(CONFIG, rank=4).schema() != CONFIG.schema()


def test_nearest_equals_sorting():
    generator = np.random.default_rng(0)
    index = NumpyIndex(np.arange(1, 301), np.round(generator.normal(0, 1, (300, 2)), 1).astype(np.float32))
    user = np.array([1.0, 0.5], np.float32)
    allowed = generator.random(300) < 0.5
    for count in (0, 1, 7, 150, 400):
        for mask in (None, allowed, np.zeros(300, np.bool_)):
            indexes, products = index.search(user, count, allowed=mask)
            every = index.vectors @ user
            candidates = np.arange(300) if mask is None else np.flatnonzero(mask)
            expected = sorted(candidates.tolist(), key=lambda item: (-every[item], item))[:count]
            assert indexes.tolist() == expected
            np.testing.assert_array_equal(products, every[indexes])
