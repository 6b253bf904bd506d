"""Forms of tables, weights and vectors read back what was kept; the page is what the figures say."""

import msgspec
import numpy as np
import pytest

from benchmarks import smaller
from benchmarks.studies import quantized, vector_codecs
from models.config import RankerConfig
from models.training import Trainer


@pytest.fixture(scope="module")
def state():
    return Trainer(RankerConfig(), np.random.default_rng(0)).state()


@pytest.mark.parametrize(("form", "share", "miss"), [("fp32", 1, 0), ("fp16", 0.5, 1e-3), ("int8", 0.3, 5e-3)])
def test_weights_come_back(state, form, share, miss):
    dense, held_bytes = quantized.dense_of(state.dense, form)
    assert held_bytes <= share * sum(values.nbytes for values in state.dense.values())
    assert all(np.abs(dense[name] - values).max() <= miss for name, values in state.dense.items())


@pytest.mark.parametrize(("form", "a_row"), [("fp32", 76), ("fp16", 38), ("int8", 26)])
def test_rows_come_back(form, a_row):
    rng = np.random.default_rng(1)
    rows, ids = rng.normal(0, 0.3, (50, 19)).astype(np.float32), np.arange(50)
    kept = quantized.Kept(ids, quantized.ROWS[form](rows, 3))
    assert kept.bytes == 50 * a_row
    assert np.abs(kept.rows(kept.find(np.array([7, 99]))) - rows[[7, 0]]).max() < 0.01


def test_vectors_on_half_the_axes_are_found_exactly_by_half_the_numbers():
    rng = np.random.default_rng(2)
    items = (rng.normal(size=(400, 4)) @ rng.normal(size=(4, 8))).astype(np.float32)
    found = vector_codecs.measure(items, rng.normal(size=(9, 8)).astype(np.float32), rounds=1)
    assert found["fp32"].recall == 1
    assert found["PCA to half"].recall > 0.99
    assert found["int8"].recall > 0.95


def test_the_page_is_written_from_the_figures():
    result = msgspec.json.decode(smaller.RESULT.read_bytes(), type=smaller.Result)
    assert smaller.PAGE.read_text(encoding="utf-8") == smaller.page(result)
