"""Samples as arrays: what is known, what it weighs, what is taken back."""

import numpy as np
from msgspec import structs
from sample_world import sample

from learner.collate import Collator
from learner.source import read
from models.content import Layout
from models.inputs import DENSE
from models.modality import Modality
from schemas.catalogue import Item
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


def test_content_is_laid_out_and_what_does_not_fit_is_a_fault():
    modalities = (Modality(name="image", width=3), Modality(name="text", width=2))
    packed = Layout(modalities).pack(Item(item_id="i", category="c", content={"image": [0.5, -1.0, 2.0]}))
    rows = [sample(content=packed), sample()]
    collator = Collator(2, modalities)
    assert [collator.fault(row) for row in rows] == [None, None], "a record from before has none"
    content = collator.batch(rows, 0).content
    assert content is not None
    assert content.values.tolist() == [[0.5, -1.0, 2.0, 0, 0], [0] * 5]
    assert content.lacking.tolist() == [[False, True], [True, True]]
    assert collator.fault(sample(content=packed[:-1])) == "content"
    assert Collator(2, modalities[::-1]).fault(rows[0]) == "content", "of another declaration"
    assert Collator(2).fault(rows[0]) is None, "nobody reads it"
    assert Collator(2).batch(rows, 0).content is None


def test_a_record_survives_the_wire_and_rubbish_does_not():
    row = sample(history=["x"], context={"device": "phone"}, click=None)
    payload = SAMPLE.encode(structs.asdict(row))
    assert read(payload) == row
    for cut in range(len(payload) - 1):  # without its last byte, of `content`, it is one from before there was any
        assert read(payload[:cut]) is None
    generator = np.random.default_rng(0)
    for _ in range(300):
        read(generator.bytes(int(generator.integers(200))))
