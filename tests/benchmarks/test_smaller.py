"""Compressed tables, weights and vectors decode to nearly the same values; docs/smaller.md matches the result."""

import msgspec
import numpy as np
import pytest

from benchmarks import smaller
from benchmarks.studies import quantized, vector_codecs
from headrace.models.ranker.config import RankerConfig
from headrace.models.ranker.training import Trainer


@pytest.fixture(scope="module")
def state():
    return Trainer(RankerConfig(), np.random.default_rng(0)).state()


@pytest.mark.parametrize(("form", "share", "miss"), [("fp32", 1, 0), ("fp16", 0.5, 1e-3), ("int8", 0.3, 5e-3)])
def test_weights_decode_to_nearly_the_same_values(state, form, share, miss):
    dense, held_bytes = quantized.quantize_dense(state.dense, form)
    assert held_bytes <= share * sum(values.nbytes for values in state.dense.values())
    assert all(np.abs(dense[name] - values).max() <= miss for name, values in state.dense.items())


@pytest.mark.parametrize(("form", "row_bytes"), [("fp32", 76), ("fp16", 38), ("int8", 26)])
def test_rows_decode_to_nearly_the_same_values(form, row_bytes):
    rng = np.random.default_rng(1)
    rows, ids = rng.normal(0, 0.3, (50, 19)).astype(np.float32), np.arange(50)
    table = quantized.QuantizedTable(ids, quantized.ROWS[form](rows, 3))
    assert table.bytes == 50 * row_bytes
    assert np.abs(table.rows(table.find(np.array([7, 99]))) - rows[[7, 0]]).max() < 0.01


def test_half_the_numbers_suffice_for_vectors_in_half_the_dimensions():
    rng = np.random.default_rng(2)
    items = (rng.normal(size=(400, 4)) @ rng.normal(size=(4, 8))).astype(np.float32)
    found = vector_codecs.measure(items, rng.normal(size=(9, 8)).astype(np.float32), rounds=1)
    assert found["fp32"].recall == 1
    assert found["PCA to half"].recall > 0.99
    assert found["int8"].recall > 0.95


def test_the_page_matches_the_result():
    result = msgspec.json.decode(smaller.RESULT.read_bytes(), type=smaller.Result)
    assert smaller.PAGE.read_text(encoding="utf-8") == smaller.page(result)
