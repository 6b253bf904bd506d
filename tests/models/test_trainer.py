"""What moves when a batch is learnt: nothing where it cannot be, rows alone ahead of the log."""

import numpy as np
import pytest
from batches import CONFIG, ITEMS, batch, trained
from msgspec import structs

from models.arrays import flatten
from models.config import STATISTICS
from models.training import Trainer


def test_a_loss_that_is_not_finite_stops_the_learner():
    sample = batch(0)
    sample.dense[3, 3] = np.nan
    with pytest.raises(FloatingPointError, match="must be finite"):
        Trainer(CONFIG, np.random.default_rng(0)).learn(sample)


def test_what_is_not_finite_moves_no_parameter():
    trainer = trained(3)
    before = flatten(trainer.state())
    sample = batch(0)
    wild = np.where(sample.labels > 0, np.inf, 0).astype(np.float32)
    for broken in (structs.replace(sample, dense=sample.dense * np.nan), structs.replace(sample, labels=wild)):
        with pytest.raises(FloatingPointError, match="must be finite"):
            trainer.learn(broken)
    after = flatten(trainer.state())
    for name in before:
        if (name.startswith("dense/") and not name.endswith(STATISTICS)) or name.endswith("/rows"):
            np.testing.assert_array_equal(after[name], before[name], err_msg=name)


def test_a_batch_that_fails_in_its_gradient_leaves_none_to_the_next():
    trainer, sample = trained(3), batch(3)
    heavy = structs.replace(sample, weights=np.full_like(sample.weights, 3e36))  # a loss that float32 just holds
    with np.errstate(over="ignore"), pytest.raises(FloatingPointError, match="gradient"):
        trainer.learn(heavy)
    assert all(tensor.grad is None for tensor in trainer.dense.values())


def test_what_is_learnt_ahead_moves_rows_now_and_what_they_share_later():
    trainer, sample = trained(3), batch(3)
    before = flatten(trainer.state())
    trainer.learn_ahead(sample)
    ahead = flatten(trainer.state())
    moved = {name for name in before if not np.array_equal(before[name], ahead[name])}
    assert {"table/item/rows", "table/user/rows"} <= moved
    assert not {name for name in moved if name.startswith("dense/")}
    trainer.learn(structs.replace(sample, ahead=np.ones(len(sample), np.bool_)))
    after = flatten(trainer.state())
    moved = {name for name in before if not np.array_equal(ahead[name], after[name])}
    assert {name.partition("/")[0] for name in moved} == {"dense", "moment", "count"}
    assert "count/sightings" not in moved, "it was seen once"


def test_of_a_batch_only_those_learnt_ahead_leave_their_rows_alone():
    apart = structs.replace(batch(3, size=2), users=np.array([1, 2]), items=ITEMS[:2], history=np.zeros((2, 5), int))
    trainer = trained(3)
    before = flatten(trainer.state())
    trainer.learn(structs.replace(apart, ahead=np.array([True, False])))
    after = flatten(trainer.state())
    moved = before["table/item/rows"] != after["table/item/rows"]
    places = trainer.tables["item"].find(ITEMS[:2])
    assert moved.any(axis=1)[places].tolist() == [False, True]
