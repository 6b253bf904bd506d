"""The ranker: gradients against differences, scoring against the training forward, learning against a constant."""

import math

import numpy as np
import pytest
import torch
from msgspec import structs

from headrace.models.ranker.arrays import flatten, unflatten
from headrace.models.ranker.batch import Batch
from headrace.models.ranker.config import STATISTICS, UNIT_S
from headrace.models.ranker.forward_torch import (
    add_position_bias,
    attend,
    forward,
    from_numpy,
    light_loss,
    loss,
    to_predictions,
)
from headrace.models.ranker.fusion_torch import Vectors
from headrace.models.ranker.state import ModelState
from headrace.models.ranker.training import Trainer, _liked, gather, initial_dense, predict
from headrace.schemas.model.heads import SCORE, SHIPPED_HEADS
from tests.support.batches import CONFIG, CONFIGS, ITEMS, batch, items_of, labelled, trained
from tests.support.heads import CONVERTED, ENGAGEMENT, by_head


@pytest.mark.parametrize("config", CONFIGS)
def test_gradients_equal_differences(config):
    generator = np.random.default_rng(0)
    dense = {
        name: torch.from_numpy(generator.normal(0, 0.3, shape)).requires_grad_()
        for name, shape in config.shapes().items()
        if name not in STATISTICS
    }
    trainer = trained(2, config)
    followed = {name: trainer.dense[name].detach().double() for name in STATISTICS}
    sample = batch(3, size=6, config=config)
    rows = gather(trainer.config, dict(trainer.tables), sample, learn=False).rows
    rows = structs.replace(
        rows,
        **{name: getattr(rows, name).double().requires_grad_() for name in ("user", "item", "category", "past")},
        vectors=Vectors(rows.vectors.values.double(), rows.vectors.missing.double()),
    )
    inputs = torch.from_numpy(sample.dense.astype(np.float64))
    leaves = [*dense.values(), rows.user, rows.item, rows.category, rows.past]

    def outputs(*tensors):
        named = dict(zip(dense, tensors, strict=False))
        user, item, category, past = tensors[len(dense) :]
        given = structs.replace(rows, user=user, item=item, category=category, past=past)
        return add_position_bias(
            named,
            forward(config, named | followed, rows=given, inputs=inputs),
            positions=torch.from_numpy(sample.positions),
        )

    with _double():
        assert torch.autograd.gradcheck(outputs, leaves, eps=1e-6, atol=1e-5, fast_mode=True)


class _double:
    def __enter__(self):
        torch.set_default_dtype(torch.float64)

    def __exit__(self, *_):
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("known", [0, 1, 3, 5])
def test_scoring_equals_the_training_forward_without_position(known, config):
    trainer = trained(config=config)
    state = ModelState.from_training_state(config, trainer.state(), version="1.1", coding="float32")
    generator = np.random.default_rng(1)
    count = 30
    history = np.zeros(5, np.int64)
    history[:known] = ITEMS[:known]
    indexes = generator.integers(0, len(ITEMS), count)
    items = np.where(generator.random(count) < 0.2, 999_999_937, ITEMS[indexes])  # some have no row
    request = structs.replace(
        batch(0, size=count, config=config),
        users=np.full(count, 3),
        items=items,
        categories=indexes % 4 + 1,
        history=np.tile(history, (count, 1)),
        positions=np.zeros(count, np.int64),
    )
    expected = predict(config, trainer.dense, tables=dict(trainer.tables), batch=request)
    got = state.score(3, history, items=items_of(request), inputs=request.dense)
    np.testing.assert_allclose(
        got.by_head[:, config.heads.logistic], expected[:, config.heads.logistic], rtol=1e-5, atol=1e-6
    )
    np.testing.assert_allclose(
        got.by_head[:, config.heads.seconds], expected[:, config.heads.seconds], rtol=1e-4, atol=1e-5
    )
    assert np.ptp(got.click) > 0.01


def test_position_is_learned_and_left_out_of_serving():
    trainer = Trainer(structs.replace(CONFIG, dense_rate=0.003), np.random.default_rng(0))
    for seed in range(60):
        positions = np.random.default_rng(seed).integers(0, 4, 64)
        trainer.learn(structs.replace(batch(seed, size=64, click=positions == 0), positions=positions))
    biases = trainer.dense["position"].detach().numpy()[:, SCORE]
    assert (biases[1:4] < -0.5).all()
    outputs = torch.zeros(2, len(SHIPPED_HEADS.names))
    assert add_position_bias(trainer.dense, outputs, positions=torch.tensor([0, 0])).tolist() == outputs.tolist()
    late = add_position_bias(trainer.dense, outputs, positions=torch.tensor([31, 500]))
    assert late[0].tolist() == late[1].tolist()


def test_inputs_are_standardised_by_what_was_seen():
    """The same inputs on another scale, or about another mean, give the same predictions."""
    scale, shift = np.float32(40.0), np.float32(-7.0)
    plain, moved = (Trainer(CONFIG, np.random.default_rng(0)) for _ in range(2))
    for seed in range(20):
        sample = batch(seed)
        expected = plain.learn(sample)
        got = moved.learn(structs.replace(sample, dense=sample.dense * scale + shift))
    np.testing.assert_allclose(got, expected, rtol=2e-3, atol=2e-4)
    assert moved.dense["input_mean"].detach().numpy() == pytest.approx(
        plain.dense["input_mean"].detach().numpy() * scale + shift, rel=1e-3, abs=1e-2
    )


def test_attention_leaves_empty_slots_out():
    trainer = trained()
    full = batch(1, size=4, slots=5)
    history = full.history.copy()
    history[:, 3:] = 0
    history[0] = 0
    dense = {name: tensor.detach() for name, tensor in trainer.dense.items()}

    def attended(histories):
        rows = gather(trainer.config, dict(trainer.tables), structs.replace(full, history=histories), learn=False).rows
        return attend(dense, rows.item[:, trainer.config.lead :], rows=rows).numpy()

    np.testing.assert_allclose(attended(history), attended(history[:, :3]), rtol=1e-5, atol=1e-7)
    assert (attended(history)[0] == 0).all()


def test_unknown_heads_teach_nothing_and_weights_scale():
    outputs = torch.randn(8, len(SHIPPED_HEADS.names), generator=torch.Generator().manual_seed(0))
    sample = batch(0, size=8)
    silent = structs.replace(sample, weights=np.zeros_like(sample.weights))
    assert float(loss(CONFIG, outputs, batch=silent)) == 0.0
    twice = structs.replace(sample, weights=2 * sample.weights)
    assert float(loss(CONFIG, outputs, batch=twice)) == pytest.approx(
        2 * float(loss(CONFIG, outputs, batch=sample)), rel=1e-6
    )


def test_a_correction_undoes_the_negative():
    """Negative, then correction: together the gradient of a positive alone."""
    outputs = torch.from_numpy(by_head(click=[0.3], converted=-0.2, engagement=0.1)).requires_grad_()
    ones = by_head(others=[1])
    positive = structs.replace(batch(0, size=1), labels=by_head(engagement=[7], others=1), weights=ones)
    negative = structs.replace(positive, labels=0 * ones)
    corrected = structs.replace(positive, undo=ones)

    def gradient(one: Batch):
        (found,) = torch.autograd.grad(loss(CONFIG, outputs, batch=one), outputs)
        return found

    torch.testing.assert_close(gradient(negative) + gradient(corrected), gradient(positive))


def test_learning_beats_a_constant_on_a_logistic_world():
    config = structs.replace(CONFIG, dim=8)
    trainer = Trainer(config, np.random.default_rng(0))
    generator = np.random.default_rng(5)
    appeal = generator.normal(0, 1.5, len(ITEMS))
    losses, truths = [], []
    for seed in range(200):
        sample = batch(seed, size=128)
        indexes = np.searchsorted(ITEMS, sample.items)
        probability = 1 / (
            1 + np.exp(1 - appeal[indexes] - sample.dense[:, 2] - 1.5 * (sample.users % 4 == indexes % 4))
        )
        click = generator.random(128) < probability
        predicted = trainer.learn(labelled(sample, by_head(click=click)))[:, SCORE]
        if seed >= 100:
            losses.extend(-np.log(np.where(click, predicted, 1 - predicted)))
            truths.extend(click)
    rate = np.mean(truths)
    constant = -(rate * np.log(rate) + (1 - rate) * np.log(1 - rate))
    assert np.mean(losses) < 0.85 * constant


def test_engagement_is_learned_in_seconds():
    trainer = Trainer(CONFIG, np.random.default_rng(0))
    for seed in range(150):
        sample = batch(seed, size=64)
        labels = by_head(engagement=np.where(sample.items % 2, 60.0, 2.0))
        predicted = trainer.learn(labelled(sample, labels))[:, ENGAGEMENT]
    long = sample.items % 2 == 1
    assert 30 < predicted[long].mean() < 90
    assert predicted[~long].mean() < 8


def test_the_light_ranker_copies_the_click_probability():
    config = structs.replace(CONFIG, dense_rate=0.02)
    trainer = Trainer(config, np.random.default_rng(0))
    for seed in range(150):
        sample = batch(seed, size=64)
        trainer.learn(labelled(sample, by_head(others=sample.dense[:, 0] > 0)))
    sample = batch(1000, size=500)
    state = ModelState.from_training_state(config, trainer.state(), version="1.1")
    light = state.score_light(sample.dense)
    full = predict(config, trainer.dense, tables=dict(trainer.tables), batch=sample)[:, SCORE]
    assert np.corrcoef(light, full)[0, 1] > 0.85


def test_the_light_ranker_sends_no_gradient_to_its_teacher():
    dense = {
        name: tensor.requires_grad_()
        for name, tensor in from_numpy(initial_dense(CONFIG, np.random.default_rng(0))).items()
    }
    outputs = torch.zeros(4, len(SHIPPED_HEADS.names), requires_grad=True)
    total = light_loss(dense, torch.ones(4, len(dense["light"])), outputs=outputs)
    assert torch.autograd.grad(total, outputs, allow_unused=True) == (None,)


def test_a_restored_trainer_goes_on_bit_for_bit():
    hours = 3_600_000
    straight, resumed = trained(3), trained(3)
    resumed = Trainer.from_state(CONFIG, unflatten(flatten(resumed.state())))
    for seed in range(3, 9):
        sample = batch(seed, at_ms=seed * 3 * hours)
        np.testing.assert_array_equal(straight.learn(sample), resumed.learn(sample))
    actual, expected = flatten(straight.state()), flatten(resumed.state())
    assert actual.keys() == expected.keys()
    for name in actual:
        np.testing.assert_array_equal(actual[name], expected[name], err_msg=name)


def test_shares_of_sightings_stay_shares_as_they_decay():
    trainer = Trainer(CONFIG, np.random.default_rng(0))
    for seed in range(6):
        trainer.learn(batch(seed, at_ms=seed * CONFIG.decay_ms))
    state = trainer.state()
    assert state.sightings == pytest.approx(state.tables["item"].sightings.sum())
    assert state.sightings < 6 * 32


def test_predictions_are_probabilities():
    outputs = by_head(click=[0.0, 0.0], converted=[100.0, 0.0], engagement=[-100.0, 1000.0])
    seen = to_predictions(SHIPPED_HEADS, torch.from_numpy(outputs))
    assert seen[0, [SCORE, CONVERTED, ENGAGEMENT]].tolist() == pytest.approx([0.5, 1.0, 0.0], abs=1e-6)
    assert seen[1, ENGAGEMENT].item() == pytest.approx(3600, rel=1e-4)


@pytest.mark.parametrize(("rate", "weight", "head"), [(0.05, 3.0, "click"), (0.0105, 10.0, "converted")])
def test_event_weights_do_not_move_probabilities(rate, weight, head):
    """The loss is lowest where the probability is the rate, whatever the weight of a positive."""
    labels, weights = by_head(**{head: [1, 0]}), by_head(**{head: [rate * weight, 1 - rate]})
    sample = structs.replace(batch(0, size=2), labels=labels, weights=weights)
    outputs = torch.from_numpy(by_head(**{head: [math.log(rate / (1 - rate))]})).requires_grad_()
    (slope,) = torch.autograd.grad(loss(CONFIG, outputs.expand(2, -1), batch=sample), outputs)
    assert SHIPPED_HEADS.event_weights[head] == weight
    assert slope[0, SHIPPED_HEADS.names.index(head)].item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(("watched", "seconds"), [(0.3, 60.0), (0.8, 20.0), (0.01, 3000.0)])
def test_engagement_is_the_mean_of_the_seconds_with_their_zeros(watched, seconds):
    labels, weights = by_head(engagement=[seconds, 0]), by_head(engagement=[watched, 1 - watched])
    sample = structs.replace(batch(0, size=2), labels=labels, weights=weights)
    mean = torch.from_numpy(by_head(engagement=[math.log(watched * seconds / UNIT_S)])).requires_grad_()
    (slope,) = torch.autograd.grad(loss(CONFIG, mean.expand(2, -1), batch=sample), mean)
    assert slope[0, ENGAGEMENT].item() == pytest.approx(0, abs=1e-6)
    assert to_predictions(SHIPPED_HEADS, mean)[0, ENGAGEMENT].item() == pytest.approx(watched * seconds, rel=1e-5)


def test_a_prediction_does_not_depend_on_other_rows_of_its_batch():
    """Neither on their inputs nor on their ids."""
    straight, moved = trained(3), trained(3)
    sample = batch(7, size=64)
    others = np.arange(64) > 0
    changed = structs.replace(
        sample,
        dense=sample.dense + 5 * others[:, None].astype(np.float32),
        items=np.where(others, sample.items + 1, 123_456),
    )
    sample = structs.replace(sample, items=np.where(others, sample.items, 123_456))
    assert straight.learn(sample)[0].tolist() == moved.learn(changed)[0].tolist()


def test_what_a_user_clicks_side_by_side_is_not_pushed_apart():
    sample = structs.replace(
        batch(0, size=3), users=np.array([1, 1, 2]), items=ITEMS[:3], history=np.zeros((3, 5), int)
    )
    liked = _liked(sample, np.array([0, 1]), items=ITEMS[:3])
    assert liked.tolist() == [[True, True, False]] * 2
    before = structs.replace(sample, history=np.tile(ITEMS[2:7], (3, 1)))
    assert _liked(before, np.array([0]), items=ITEMS[:3]).tolist() == [[True, False, True]]


def test_an_extreme_row_predicts_at_most_an_hour():
    state = ModelState.from_training_state(CONFIG, trained().state(), version="1.1", coding="float32")
    state.dense["head_bias"][SHIPPED_HEADS.seconds] = 1000
    one, request = np.zeros(1, np.int64), batch(0, size=1)
    got = state.score(3, one, items=items_of(request), inputs=request.dense)
    assert got.by_head[0, SHIPPED_HEADS.seconds] == pytest.approx(3600, rel=1e-4)
