"""A ranker that starts from another one: what both declare predicts as before, what is new adds nothing at first."""

import numpy as np
import pytest
from msgspec import structs

from headrace.models.content.modality import Fusion
from headrace.models.ranker.inputs import DENSE
from headrace.models.ranker.training import Trainer, initial_dense
from headrace.models.ranker.warm_start import axes, carry_over
from headrace.schemas.model.heads import SHIPPED_HEADS, Head, Heads
from headrace.schemas.model.ranker_inputs import SHIPPED, Column
from tests.support.batches import CONFIG, CONFIGS, FUSED, MODALITIES, batch, trained
from tests.support.heads import DECLARED

NEW = Column("user_visits.count_7d", "user", "log", 0.4)


def with_inputs(columns, **changes):
    return structs.replace(CONFIG, declared=structs.replace(SHIPPED, columns=tuple(columns), **changes))


WIDER = with_inputs([NEW, *SHIPPED.columns], missing=(*SHIPPED.missing, NEW.name))
MORE_HEADS = CONFIG.with_heads(Heads((Head(name="hidden", events=("hide",)), *SHIPPED_HEADS.table)))


def started(donor, config):
    initial = initial_dense(config, np.random.default_rng(3))
    state = carry_over(donor.state(), of=donor.config, to=config, initial=initial)
    return Trainer.from_state(config, state)


def wider(sample, config=WIDER):
    """The same rows as another declaration lays them out; inputs that are new have any value."""
    place = {name: index for index, name in enumerate(DENSE)}
    known = [place.get(name) for name in config.inputs.dense]
    values = np.random.default_rng(9).normal(0, 1, (len(sample), len(known))).astype(np.float32)
    for column, index in enumerate(known):
        if index is not None:
            values[:, column] = sample.dense[:, index]
    return structs.replace(sample, dense=values)


def heads_of(predicted, config, names):
    return predicted[:, [config.heads.names.index(name) for name in names]]


@pytest.mark.parametrize("config", [*CONFIGS, WIDER, MORE_HEADS])
def test_every_axis_has_a_label_for_each_place(config):
    assert {name: tuple(map(len, labels)) for name, labels in axes(config).items()} == config.shapes()
    assert all(len(set(labels)) == len(labels) for each in axes(config).values() for labels in each)


@pytest.mark.parametrize("config", CONFIGS)
def test_the_same_declaration_starts_as_its_donor(config):
    donor = trained(6, config)
    follower, sample = started(donor, config), batch(50, config=config)
    for _ in range(3):
        np.testing.assert_array_equal(follower.learn(sample), donor.learn(sample))


def test_a_new_input_changes_no_prediction_until_it_has_learned():
    donor, sample = trained(), batch(50)
    follower = started(donor, WIDER)
    np.testing.assert_allclose(follower.learn(wider(sample)), donor.learn(sample), rtol=2e-5)
    for name in ("wide", "mlp_1", "head"):
        place = axes(WIDER)[name][0].index("user_visits.count_7d log 0.4")
        assert np.abs(follower.dense[name].detach().numpy()[place]).max() > 0, f"{name} has not learned"


def test_inputs_may_move_and_go():
    donor, sample = trained(), batch(50)
    moved = with_inputs(sorted(SHIPPED.columns, key=lambda column: (SIDE[column.side], column.name)))
    np.testing.assert_allclose(started(donor, moved).learn(wider(sample, moved)), donor.learn(sample), rtol=2e-5)
    shorter = with_inputs([column for column in SHIPPED.columns if column.name != "item.price"])
    assert np.isfinite(started(donor, shorter).learn(wider(sample, shorter))).all()


SIDE = {"user": 0, "item": 1, "cross": 2}


def test_an_input_of_another_scale_is_another_input():
    column = structs.replace(SHIPPED.columns[0], scale=9.0)
    config = with_inputs([column, *SHIPPED.columns[1:]])
    donor = trained()
    assert donor.dense["wide"][0].any()
    assert not started(donor, config).dense["wide"][0].any()


def test_a_new_head_leaves_the_others_as_they_are():
    donor, sample = trained(), batch(50)
    shared = SHIPPED_HEADS.names
    predicted = started(donor, MORE_HEADS).learn(batch(50, config=MORE_HEADS))
    np.testing.assert_allclose(heads_of(predicted, MORE_HEADS, shared), donor.learn(sample), rtol=2e-5)
    assert not started(donor, MORE_HEADS).dense["light"].any(), "it imitated another score head"


def test_heads_of_another_kind_or_name_start_from_nothing():
    donor = trained()
    follower = started(donor, CONFIG.with_heads(DECLARED))
    for name in ("wide", "head_bias"):
        assert donor.dense[name].any()
        assert not follower.dense[name].any(), name
    ids, indexes = follower.tables["item"].owned()
    assert len(ids) == len(donor.tables["item"].owned()[0])
    assert not follower.tables["item"].rows(indexes)[:, : len(DECLARED.table)].any()


def test_vectors_of_another_fusion_start_from_nothing():
    donor = trained(config=FUSED[0])
    other = structs.replace(CONFIG, fusion=Fusion(modalities=MODALITIES[::-1], manner="early"))
    follower, initial = started(donor, other), initial_dense(other, np.random.default_rng(3))
    for name in other.fusion_shapes():
        np.testing.assert_array_equal(follower.dense[name].detach().numpy(), initial[name], err_msg=name)
    fused = [place for place, label in enumerate(axes(other)["head"][0]) if label.startswith("Fusion(")]
    assert len(fused) == 2 * other.dim
    assert not follower.dense["head"].detach().numpy()[fused].any(), "weights of the old vectors"
    np.testing.assert_array_equal(
        follower.dense["attend_past"].detach().numpy(), donor.dense["attend_past"].detach().numpy()
    )
