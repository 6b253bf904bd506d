"""What changes when a batch is learned: nothing if it fails, only rows if it is learned ahead of the log."""

import numpy as np
import pytest
from msgspec import structs

from headrace.models.ranker.arrays import flatten
from headrace.models.ranker.config import STATISTICS
from headrace.models.ranker.training import Trainer
from headrace.models.tables.table import DEFAULT
from tests.support.batches import CONFIG, ITEMS, batch, trained
from tests.support.heads import by_head


def test_a_loss_that_is_not_finite_stops_the_learner():
    sample = batch(0)
    sample.dense[3, 3] = np.nan
    with pytest.raises(FloatingPointError, match="must be finite"):
        Trainer(CONFIG, np.random.default_rng(0)).learn(sample)


def test_a_batch_that_is_not_finite_changes_no_parameter():
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
    # a loss of 1.5e38, which float32 just holds; its gradient, in three tables' biases, it does not
    every = np.ones(len(sample))
    heavy = structs.replace(sample, labels=by_head(converted=every), weights=by_head(converted=4e37 * every))
    with np.errstate(over="ignore"), pytest.raises(FloatingPointError, match="gradient"):
        trainer.learn(heavy)
    assert all(tensor.grad is None for tensor in trainer.dense.values())


def purchases(sample):
    """The batch without its click labels, like samples of the urgent lane."""
    weights = sample.weights * by_head(click=0, others=1)
    return structs.replace(sample, weights=weights, counts=np.sign(weights))


def test_a_slot_is_one_sighting_however_many_samples_say_what_came_of_it():
    """Else what was shown once would have its own row only if it was clicked, and that row would promise too much."""
    slots = batch(3)
    first = structs.replace(slots, counts=slots.counts * by_head(click=1))
    rest = structs.replace(slots, counts=slots.counts * by_head(click=0, others=1))
    correction = structs.replace(first, undo=first.counts)
    counted = []
    for samples in ((slots,), (first, rest, correction)):
        trainer = Trainer(CONFIG, np.random.default_rng(0))
        for each in samples:
            trainer.learn(each)
        state = trainer.state()
        counted.append((state.sightings, state.tables["item"].ids.tolist(), state.tables["item"].sightings.tolist()))
    assert counted[0][0] == len(slots)
    assert counted[1] == counted[0]


def test_after_a_pause_users_move_as_if_new_and_items_do_not():
    trainer = trained(20)
    before = {name: table.sums for name, table in trainer.state().tables.items()}
    month_ms = 30 * 86_400_000
    trainer.learn(structs.replace(batch(3, size=1), at_ms=month_ms, users=np.array([10**9]), items=np.array([10**9])))
    after = {name: table.sums[: len(before[name])] for name, table in trainer.state().tables.items()}
    users, items = (np.flatnonzero(before[name].min(axis=1) > 0.2) for name in ("user", "item"))
    assert len(users)
    assert len(items)
    assert after["user"][users].max() == pytest.approx(0.1), "the floor"
    assert (after["item"][items] > 0.6 * before["item"][items]).all()


def default_rows(trainer):
    return {name: table.rows(np.zeros(1, np.int64)) for name, table in trainer.tables.items()}


def test_learning_ahead_moves_own_rows_now_and_shared_parameters_later():
    trainer, sample = trained(3), purchases(batch(3))
    before = flatten(trainer.state())
    trainer.learn_ahead(sample)
    ahead = flatten(trainer.state())
    moved = {name for name in before if not np.array_equal(before[name], ahead[name])}
    assert {"table/item/rows", "table/user/rows"} <= moved
    assert not {name for name in moved if name.startswith("dense/")}
    trainer.learn(structs.replace(sample, learned_ahead=np.ones(len(sample), np.bool_)))
    after = flatten(trainer.state())
    moved = {name for name in before if not np.array_equal(ahead[name], after[name])}
    assert {"dense/head", "moment/first", "count/steps"} <= moved
    for name in ("table/item/rows", "table/user/rows", "table/category/rows"):
        moves = (ahead[name] != after[name]).any(axis=1)
        assert set(np.flatnonzero(moves).tolist()) <= {DEFAULT}, "ids without a row share this one"
    assert "count/sightings" not in moved, "it was counted once"


def test_ids_without_a_row_learn_nothing_ahead_because_they_share_one():
    config = structs.replace(CONFIG, item_admission=5, user_admission=5)
    trainer = trained(12, config)
    strangers = structs.replace(batch(3, config=config), users=np.arange(32) + 10**9, items=np.arange(32) + 2 * 10**9)
    before = default_rows(trainer)
    trainer.learn_ahead(strangers)
    assert all(np.array_equal(rows, before[name]) for name, rows in default_rows(trainer).items())
    trainer.learn(structs.replace(strangers, learned_ahead=np.ones(32, np.bool_)))
    moved = {name for name, rows in default_rows(trainer).items() if (rows != before[name]).any()}
    assert {"user", "item"} <= moved, "it learns when the log brings them"


def test_of_a_batch_only_those_learned_ahead_leave_their_rows_alone():
    apart = structs.replace(batch(3, size=2), users=np.array([1, 2]), items=ITEMS[:2], history=np.zeros((2, 5), int))
    trainer = trained(3)
    before = flatten(trainer.state())
    trainer.learn(structs.replace(purchases(apart), learned_ahead=np.array([True, False])))
    after = flatten(trainer.state())
    moved = before["table/item/rows"] != after["table/item/rows"]
    indexes = trainer.tables["item"].find(ITEMS[:2])
    assert moved.any(axis=1)[indexes].tolist() == [False, True]
