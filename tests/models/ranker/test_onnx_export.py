"""The exported graph predicts what serving predicts."""

import numpy as np
import onnx
import onnxruntime
import pytest

from headrace.models.ranker import forward_numpy
from headrace.models.ranker.inputs import DENSE
from headrace.models.ranker.onnx_export import INPUTS, OUTPUT, VECTORS, to_onnx
from tests.support.batches import CONFIG, CONFIGS, batch, items_of, trained

SLATES = [(1, 5), (40, 3), (260, 0)]


@pytest.fixture(scope="module")
def graph():
    return to_onnx(CONFIG, trained().state().dense, version="1.7")


@pytest.mark.parametrize("config", CONFIGS)
def test_a_slate_is_scored_as_in_serving(config):
    trainer = trained(config=config)
    graph = to_onnx(config, trainer.state().dense, version="1.7")
    for candidates, past in SLATES:
        _check(graph, trainer, batch(99, size=candidates, config=config), past=past)


def _check(graph, trainer, slate, *, past):
    config, tables = trainer.config, dict(trainer.tables)
    history = np.unique(slate.items)[:past] if len(slate) > 1 else np.repeat(slate.items, past)
    part = forward_numpy.gather_rows(tables, user_id=3, past=history, items=items_of(slate), lead=config.lead)
    expected = forward_numpy.score(config, trainer.state().dense, part=part, inputs=slate.dense)
    slots = np.zeros((config.history, config.dim), np.float32)
    slots[: len(history)] = part.past
    present = np.arange(config.history) < len(history)
    given = dict(zip(INPUTS, (part.user, slots, present, part.items, part.categories, slate.dense), strict=True))
    if slate.content:
        given |= dict(zip(VECTORS, (slate.content.values, slate.content.missing), strict=True))
    (predicted,) = onnxruntime.InferenceSession(graph).run([OUTPUT], given)
    np.testing.assert_allclose(
        predicted[:, config.heads.logistic], expected.by_head[:, config.heads.logistic], atol=1e-6
    )
    np.testing.assert_allclose(
        predicted[:, config.heads.seconds], expected.by_head[:, config.heads.seconds], rtol=1e-4, atol=1e-5
    )


def test_the_graph_names_its_version_and_schema(graph):
    properties = {each.key: each.value for each in onnx.load_from_string(graph).metadata_props}
    assert properties["version"] == "1.7"
    assert properties["schema"] == CONFIG.schema()
    assert properties["dense_inputs"].split(",") == list(DENSE)
    assert properties["heads"] == "click,converted,engagement"
