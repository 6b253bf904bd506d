"""The graph that is exported tells what serving tells."""

import numpy as np
import onnx
import onnxruntime
import pytest
from batches import CONFIG, FUSED, asked, batch, trained

from models import ranker_numpy
from models.inputs import DENSE
from models.onnx_export import INPUTS, OUTPUT, VECTORS, to_onnx

SLATES = [(1, 5), (40, 3), (260, 0)]


@pytest.fixture(scope="module")
def graph():
    return to_onnx(CONFIG, trained().state().dense, version="1.7")


@pytest.mark.parametrize("config", [CONFIG, *FUSED])
def test_a_slate_is_scored_as_in_serving(config):
    trainer = trained(config=config)
    graph = to_onnx(config, trainer.state().dense, version="1.7")
    for candidates, past in SLATES:
        _hold(graph, trainer, batch(99, size=candidates, config=config), past=past)


def _hold(graph, trainer, slate, *, past):
    config, tables = trainer.config, dict(trainer.tables)
    history = np.unique(slate.items)[:past] if len(slate) > 1 else np.repeat(slate.items, past)
    part = ranker_numpy.gather_rows(tables, user_id=3, past=history, items=asked(slate))
    ours = ranker_numpy.score(config, trainer.state().dense, part=part, inputs=slate.dense)
    slots = np.zeros((config.history, config.dim), np.float32)
    slots[: len(history)] = part.past
    present = np.arange(config.history) < len(history)
    given = dict(zip(INPUTS, (part.user, slots, present, part.items, part.categories, slate.dense), strict=True))
    if slate.content:
        given |= dict(zip(VECTORS, (slate.content.values, slate.content.lacking), strict=True))
    (told,) = onnxruntime.InferenceSession(graph).run([OUTPUT], given)
    np.testing.assert_allclose(told[:, 0], ours.click, atol=1e-6)
    np.testing.assert_allclose(told[:, 1], ours.converted, atol=1e-6)
    np.testing.assert_allclose(told[:, 2], ours.engagement, rtol=1e-4, atol=1e-5)


def test_the_graph_says_what_it_is_of(graph):
    told = {each.key: each.value for each in onnx.load_from_string(graph).metadata_props}
    assert told["version"] == "1.7"
    assert told["schema"] == CONFIG.schema()
    assert told["dense_inputs"].split(",") == list(DENSE)
