"""Samples as arrays: labels, weights, and what a correction undoes."""

import itertools
import math

import numpy as np
from msgspec import structs

from headrace.learner.samples.collate import Collator
from headrace.models.content.modality import Fusion, Modality
from headrace.models.content.vectors import ContentLayout
from headrace.models.ranker.config import RankerConfig
from headrace.models.ranker.inputs import DENSE
from headrace.schemas.avro import Contract
from headrace.schemas.catalogue import Item
from headrace.schemas.ids import hash64
from headrace.schemas.samples import SAMPLE, Sample, decode_sample
from headrace.simulator.sample_stream import sample
from tests.support.heads import by_head, only


def test_labels_weights_and_undo():
    rows = [
        sample(**only(click=1.0), weight=3.0),
        sample(negative_rate=0.25),
        sample(**only(converted=1.0), kind="correction", weight=10.0, negative_rate=0.25, undo=4.0),
        sample(**only(converted=1.0), kind="correction", weight=10.0, negative_rate=0.25),
    ]
    batch = Collator(RankerConfig(history=2)).batch(rows, 7)
    of_all = [0, 4, 0, 0]
    assert batch.labels.tolist() == by_head(click=[1, 0, 0, 0], converted=[0, 0, 1, 1]).tolist()
    expected = by_head(click=[3, 4, 0, 0], converted=[0, 4, 10, 10], others=of_all)
    assert batch.weights.tolist() == expected.tolist()
    expected = by_head(click=[1, 4, 0, 0], converted=[0, 4, 1, 1], others=of_all)
    assert batch.counts.tolist() == expected.tolist()
    assert batch.undo.tolist() == by_head(converted=[0, 0, 4, 0]).tolist(), "the weight of the negative"
    assert batch.at_ms == 7
    beyond_the_day = Collator(RankerConfig(history=2)).batch([structs.replace(rows[2], weight=0.0)], 7)
    assert not beyond_the_day.weights.any()
    assert beyond_the_day.undo.any(), "it teaches nothing, and undoes the negative"


def test_ids_histories_and_dense():
    rows = [sample(user_id="a", item_id="b", category="", history=["x", "y", "z"]), sample(history=["x"], position=-1)]
    batch = Collator(RankerConfig(history=2)).batch(rows, 0)
    assert batch.users.tolist() == [hash64("a"), hash64("u")]
    assert batch.categories.tolist() == [0, hash64("c")]
    assert batch.history.tolist() == [[hash64("x"), hash64("y")], [hash64("x"), 0]]
    assert batch.positions.tolist() == [0, 0]
    assert batch.dense.shape == (2, len(DENSE))
    assert batch.dense.dtype == np.float32


def _fused(modalities: tuple[Modality, ...]) -> RankerConfig:
    return RankerConfig(history=2, fusion=Fusion(modalities=modalities))


def test_content_is_laid_out_and_an_invalid_one_is_a_fault():
    modalities = (Modality(name="image", width=3), Modality(name="text", width=2))
    packed = ContentLayout(modalities).pack(Item(item_id="i", category="c", content={"image": [0.5, -1.0, 2.0]}))
    rows = [sample(content=packed), sample()]
    collator = Collator(_fused(modalities))
    assert [collator.fault(row) for row in rows] == [None, None], "an older record has none"
    content = collator.batch(rows, 0).content
    assert content is not None
    assert content.values.tolist() == [[0.5, -1.0, 2.0, 0, 0], [0] * 5]
    assert content.missing.tolist() == [[False, True], [True, True]]
    assert collator.fault(sample(content=packed[:-1])) == "content"
    assert Collator(_fused(modalities[::-1])).fault(rows[0]) == "content", "of another declaration"
    assert Collator(RankerConfig(history=2)).fault(rows[0]) is None, "without modalities, content is ignored"
    assert Collator(RankerConfig(history=2)).batch(rows, 0).content is None


def test_one_negative_represents_at_most_a_million():
    faults = {
        rate: Collator(RankerConfig(history=2)).fault(sample(negative_rate=rate))
        for rate in (1.1, 1.0, 1e-6, 1e-7, 0.0, math.nan)
    }
    assert faults == {1.1: "weight", 1.0: None, 1e-6: None, 1e-7: "weight", 0.0: "weight", math.nan: "weight"}


def bytes_before(field: str, row: Sample) -> int:
    """The length of the record that was written before the field was added."""
    older = list(itertools.takewhile(lambda each: each["name"] != field, SAMPLE.fields))
    values = {each["name"]: getattr(row, each["name"]) for each in older}
    return len(Contract({**SAMPLE.schema, "fields": older}).encode(values))


def test_a_record_survives_the_wire_and_garbage_is_rejected():
    later = {each.name: getattr(sample(), each.name) for each in structs.fields(Sample) if not each.required}
    row = sample(**later, history=["x"], context={"device": "phone"}, click=None)
    payload = row.payload()
    assert decode_sample(payload) == row
    before = [bytes_before(name, row) for name in later]
    assert all(decode_sample(payload[:cut]) == row for cut in before)
    assert {cut for cut in range(len(payload)) if decode_sample(payload[:cut]) is not None} == {*before}
    generator = np.random.default_rng(0)
    for _ in range(300):
        decode_sample(generator.bytes(int(generator.integers(200))))
