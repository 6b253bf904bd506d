"""Samples as arrays: what is known, what it weighs, what is taken back."""

import numpy as np
from msgspec import structs
from sample_world import sample

from learner.collate import Collator
from learner.source import read
from models.inputs import DENSE
from schemas.ids import hash64
from schemas.samples import SAMPLE, kept


def picks(rate):
    """A request whose first slot is kept, and one whose first slot is dropped."""
    return (next(n for n in range(100) if kept(f"r{n}", 0, rate) is wanted) for wanted in (True, False))


def test_labels_weights_and_undo():
    kept_one, dropped = ({"request_id": f"r{number}"} for number in picks(0.25))
    rows = [
        sample(click=1.0, converted=None, engagement=None, weight=3.0),
        sample(click=0.0, converted=0.0, engagement=0.0, negative_rate=0.25),
        sample(
            click=None, converted=1.0, engagement=None, kind="correction", weight=10.0, negative_rate=0.25, **kept_one
        ),
        sample(
            click=None, converted=1.0, engagement=None, kind="correction", weight=10.0, negative_rate=0.25, **dropped
        ),
    ]
    batch = Collator(2).batch(rows, 7)
    assert batch.labels[:, :2].tolist() == [[1, 0], [0, 0], [0, 1], [0, 1]]
    assert batch.weights.tolist() == [[3, 0, 0], [4, 4, 4], [0, 10, 0], [0, 10, 0]]
    assert batch.undo.tolist() == [[0, 0, 0], [0, 0, 0], [0, 4, 0], [0, 0, 0]], "what its negative weighed"
    assert batch.at_ms == 7
    untrained = structs.replace(rows[2], weight=0.0)
    assert not Collator(2).batch([untrained], 7).undo.any(), "a row of weight 0 teaches nothing"


def test_ids_histories_and_dense():
    rows = [sample(user_id="a", item_id="b", category="", history=["x", "y", "z"]), sample(history=["x"], position=-1)]
    batch = Collator(2).batch(rows, 0)
    assert batch.users.tolist() == [hash64("a"), hash64("u")]
    assert batch.categories.tolist() == [0, hash64("c")]
    assert batch.history.tolist() == [[hash64("x"), hash64("y")], [hash64("x"), 0]]
    assert batch.positions.tolist() == [0, 0]
    assert batch.dense.shape == (2, len(DENSE))
    assert batch.dense.dtype == np.float32


def test_a_record_survives_the_wire_and_rubbish_does_not():
    row = sample(history=["x"], context={"device": "phone"}, click=None)
    payload = SAMPLE.encode(structs.asdict(row))
    assert read(payload) == row
    for cut in range(len(payload)):
        assert read(payload[:cut]) is None
    generator = np.random.default_rng(0)
    for _ in range(300):
        read(generator.bytes(int(generator.integers(200))))
