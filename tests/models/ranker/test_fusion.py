"""What vectors add: they separate unseen items; and what happens where they are missing."""

import numpy as np
import pytest
from msgspec import structs

from headrace.models.content.modality import Fusion
from headrace.models.content.vectors import Content, ContentLayout
from headrace.models.ranker.inputs import DENSE
from headrace.models.ranker.items import Items
from headrace.models.ranker.state import ModelState
from headrace.models.ranker.training import Trainer
from headrace.schemas.model.heads import SCORE
from tests.support.batches import CONFIG, FUSED, ITEMS, MODALITIES, batch
from tests.support.heads import by_head

COUNT = len(ITEMS)
STYLES = np.where(np.arange(2 * COUNT) % 2, 1.0, -1.0).astype(np.float32)
"""Styles of the items and of as many new ones; odd users click items of style 1, even users those of style -1."""


def looks(indexes, *, lacking=0.0, seed=0) -> Content:
    """Noisy views of the style."""
    generator = np.random.default_rng(seed)
    missing = generator.random((len(indexes), 2)) < lacking
    values = STYLES[indexes, None] * np.array([1, -1, 0.5, 1, 1], np.float32)
    values = values + generator.normal(0, 0.3, values.shape)
    values[np.repeat(missing, [3, 2], axis=1)] = 0
    return Content(values.astype(np.float32), missing)


def train(config) -> ModelState:
    config = structs.replace(config, hidden=(16, 8), retrieval_weight=1.0, dense_rate=0.005)  # (8, 6) may all be dead
    trainer = Trainer(config, np.random.default_rng(0))
    for seed in range(250):
        sample = batch(seed, size=64)
        indexes = np.searchsorted(ITEMS, sample.items)
        click = (sample.users % 2 == (STYLES[indexes] > 0)).astype(np.float32)
        content = looks(indexes, lacking=0.2, seed=seed) if config.modalities else None
        trainer.learn(
            structs.replace(
                sample,
                content=content,
                history=sample.history * 0,
                dense=sample.dense * 0,
                categories=sample.categories * 0 + 1,
                labels=by_head(click=click),
            )
        )
    return ModelState.from_training_state(config, trainer.state(), version="1.1")


@pytest.fixture(scope="module", params=FUSED, ids=lambda config: config.fusion.manner)
def model(request):
    return train(request.param)


def gap(model, content) -> tuple[float, float]:
    """How much likelier, and nearer, new items of a user's own style are than others."""
    items = Items(np.arange(1, COUNT + 1) * 104_729, np.ones(COUNT, np.int64), content)
    vectors, likelier, nearer = model.item_vectors(items), list[float](), list[float]()
    for user in range(1, 20):
        own_style = (STYLES[COUNT:] > 0) == user % 2
        scores = model.score(
            user, np.zeros(0, np.int64), items=items, inputs=np.zeros((COUNT, len(DENSE)), np.float32)
        ).click
        products = vectors @ model.user_vector(user, np.zeros(0, np.int64))
        likelier.append(float(scores[own_style].mean() - scores[~own_style].mean()))
        nearer.append(float(products[own_style].mean() - products[~own_style].mean()))
    return float(np.mean(likelier)), float(np.mean(nearer))


def test_vectors_alone_separate_new_items(model):
    likelier, nearer = gap(model, looks(np.arange(COUNT, 2 * COUNT)))
    assert likelier > 0.1
    assert nearer > 0.2


def test_one_modality_suffices_where_the_other_is_missing(model):
    whole = looks(np.arange(COUNT, 2 * COUNT))
    image = Content(whole.values * np.array([1, 1, 1, 0, 0], np.float32), np.array([[False, True]] * COUNT))
    assert gap(model, image)[0] > 0.1


def test_no_vectors_means_all_stand_ins(model):
    assert gap(model, None) == pytest.approx((0.0, 0.0), abs=1e-6)
    blank = ContentLayout(MODALITIES).blank(COUNT)
    assert gap(model, blank) == gap(model, None)


def test_without_vectors_new_items_are_alike():
    assert gap(train(CONFIG), None) == pytest.approx((0.0, 0.0), abs=1e-6)


def test_stand_ins_are_learned(model):
    assert np.abs(model.dense["stand_in"]).min() > 0


def test_late_averages_the_present_modalities():
    config = structs.replace(CONFIG, fusion=Fusion(modalities=MODALITIES, manner="late"))
    model = ModelState.empty(config)
    model.dense["opinion_bias"][:, SCORE] = (1.0, 3.0)
    items = Items(
        ITEMS[:4],
        np.ones(4, np.int64),
        Content(np.zeros((4, 5), np.float32), np.array([[0, 0], [1, 0], [0, 1], [1, 1]]) > 0),
    )
    click = model.score(1, np.zeros(0, np.int64), items=items, inputs=np.zeros((4, len(DENSE)), np.float32)).click
    np.testing.assert_allclose(np.log(click / (1 - click)), [2.0, 3.0, 1.0, 2.0], rtol=1e-5)
