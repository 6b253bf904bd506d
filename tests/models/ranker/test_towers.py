"""The towers: items that users click end up near them, and serving and training make the same vectors."""

import numpy as np
import pytest
import torch
from msgspec import structs

from headrace.models.ranker.fusion_torch import lift
from headrace.models.ranker.items import Items
from headrace.models.ranker.state import ModelState
from headrace.models.ranker.towers import item_tower, softmax_loss, user_tower
from headrace.models.ranker.training import Trainer, gather
from tests.support.batches import CONFIG, CONFIGS, ITEMS, batch, items_of, trained
from tests.support.heads import by_head


def test_retrieval_finds_what_the_user_clicks():
    """Users of one parity click items of one parity: their vectors end up closer."""
    trainer = Trainer(structs.replace(CONFIG, retrieval_weight=1.0), np.random.default_rng(0))
    for seed in range(200):
        sample = batch(seed, size=64)
        click = (sample.users % 2 == np.searchsorted(ITEMS, sample.items) % 2).astype(np.float32)
        trainer.learn(structs.replace(sample, labels=by_head(click=click), history=sample.history * 0))
    state = ModelState.from_training_state(CONFIG, trainer.state(), version="1.1")
    vectors = state.item_vectors(Items(ITEMS, np.arange(len(ITEMS)) % 4 + 1))
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    for user in range(1, 20):
        products = vectors @ state.user_vector(user, np.zeros(0, np.int64))
        alike = np.arange(len(ITEMS)) % 2 == user % 2
        assert products[alike].mean() > products[~alike].mean() + 0.2


def test_the_softmax_by_hand():
    drawn = torch.log(torch.tensor([0.5, 0.1]))
    got = softmax_loss(torch.tensor([[1.0, 2.0]]), torch.tensor([0]), log_drawn=drawn, weights=torch.tensor([3.0]))
    odds = np.exp(1.0) / 0.5, np.exp(2.0) / 0.1
    assert got.item() == pytest.approx(-3 * np.log(odds[0] / sum(odds)), rel=1e-5)


def popularity_gap(config):
    """How much closer to users items are that are shown 9 times as often, where clicks follow showing alone."""
    trainer = Trainer(config, np.random.default_rng(0))
    for seed in range(800):
        generator = np.random.default_rng(seed)
        sample = batch(seed, size=16)
        often = generator.random(16) < 0.5
        indexes = np.where(often, generator.integers(0, 4, 16), generator.integers(4, 40, 16))
        click = (generator.random(16) < 0.5).astype(np.float32)
        trainer.learn(
            structs.replace(
                sample,
                items=ITEMS[indexes],
                categories=np.ones(16, np.int64),
                history=sample.history * 0,
                labels=by_head(click=click),
            )
        )
    state = ModelState.from_training_state(config, trainer.state(), version="1.1")
    vectors = state.item_vectors(Items(ITEMS, np.ones(len(ITEMS), np.int64)))
    users = np.stack([state.user_vector(user, np.zeros(0, np.int64)) for user in range(1, 20)])
    similar = (users @ vectors.T).mean(axis=0)
    return similar[:4].mean() - similar[4:].mean()


def test_retrieval_knows_popularity_as_a_softmax_over_all_items_would():
    """The full softmax is at its best where cosine / temperature = log frequency + constant: a gap of log 9."""
    config = structs.replace(CONFIG, retrieval_weight=1.0, temperature=0.2)
    assert popularity_gap(config) / 0.2 == pytest.approx(np.log(9), abs=0.7)


@pytest.mark.parametrize("config", CONFIGS)
def test_serving_and_training_make_the_same_vectors(config):
    trainer = trained(config=config)
    state = ModelState.from_training_state(config, trainer.state(), version="1.1", coding="float32")
    sample = batch(2, size=8, config=config)
    with torch.no_grad():
        rows = gather(trainer.config, dict(trainer.tables), sample, learn=False).rows
        lifted = lift(config, trainer.dense, rows.vectors)
        items = item_tower(trainer.dense, rows.item, category=rows.category, lift=lifted).numpy()
        users = user_tower(trainer.dense, rows).numpy()
    np.testing.assert_allclose(state.item_vectors(items_of(sample)), items, rtol=1e-4, atol=1e-6)
    for row in range(8):
        vector = state.user_vector(int(sample.users[row]), sample.history[row])
        np.testing.assert_allclose(vector, users[row], rtol=1e-4, atol=1e-6)
