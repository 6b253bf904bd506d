"""The graph that is exported tells what serving tells."""

import numpy as np
import onnx
import onnxruntime
import pytest
from batches import batch

from models import scoring
from models.config import RankerConfig
from models.inputs import DENSE
from models.portable import INPUTS, OUTPUT, to_onnx
from models.training import Trainer

CONFIG = RankerConfig(
    dim=4, history=5, attention=6, rank=5, hidden=(8, 6), vector=4, item_admission=1, user_admission=1
)


@pytest.fixture(scope="module")
def trainer():
    learnt = Trainer(CONFIG, np.random.default_rng(0))
    for seed in range(12):
        learnt.learn(batch(seed))
    return learnt


@pytest.fixture(scope="module")
def graph(trainer):
    return to_onnx(CONFIG, trainer.state().dense, version="1.7")


@pytest.mark.parametrize(("candidates", "past"), [(1, 5), (40, 3), (260, 0)])
def test_a_slate_is_scored_as_in_serving(trainer, graph, candidates, past):
    slate = batch(99, size=candidates)
    tables = dict(trainer.tables)
    history = np.unique(slate.items)[:past] if candidates > 1 else np.repeat(slate.items, past)
    rows = {"user_id": 3, "past": history, "items": slate.items, "categories": slate.categories}
    part = scoring.part_of(tables, **rows)
    ours = scoring.score(CONFIG, trainer.state().dense, part=part, inputs=slate.dense)
    slots = np.zeros((CONFIG.history, CONFIG.dim), np.float32)
    slots[: len(history)] = part.past
    present = np.arange(CONFIG.history) < len(history)
    given = (part.user, slots, present, part.items, part.categories, slate.dense)
    (told,) = onnxruntime.InferenceSession(graph).run([OUTPUT], dict(zip(INPUTS, given, strict=True)))
    np.testing.assert_allclose(told[:, 0], ours.click, atol=1e-6)
    np.testing.assert_allclose(told[:, 1], ours.converted, atol=1e-6)
    np.testing.assert_allclose(told[:, 2], ours.engagement, rtol=1e-4, atol=1e-5)


def test_the_graph_says_what_it_is_of(graph):
    told = {each.key: each.value for each in onnx.load_from_string(graph).metadata_props}
    assert told["version"] == "1.7"
    assert told["schema"] == CONFIG.schema()
    assert told["dense_inputs"].split(",") == list(DENSE)
