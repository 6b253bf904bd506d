"""The score that orders a slate, from the heads of the model that scored it."""

import json
from pathlib import Path

import numpy as np
import pytest

from headrace.models.ranker.forward_numpy import Scores
from headrace.schemas.model.heads import SHIPPED_HEADS
from headrace.serving.settings import read_config
from headrace.serving.stages.blend import Blend, blend
from headrace.serving.stages.rules import RulesError
from tests.support.heads import DECLARED


def test_the_shipped_heads_blend_as_they_did() -> None:
    scores = Scores(np.array([[0.2, 0.1, 50.0], [0.1, 0.0, 900.0]], np.float32))
    assert blend(scores, Blend(), SHIPPED_HEADS) == pytest.approx([0.14 + 0.02 + 0.05, 0.07 + 0.3])


def test_a_negative_weight_lowers_the_score_and_leaves_it_above_0() -> None:
    opened, liked, stay = 0.4, 0.2, 30.0
    scores = Scores(np.array([[opened, liked, hidden, stay] for hidden in (0.0, 0.5, 1.0)], np.float32))
    expected = [0.5 * opened + 0.5 * liked + 0.3 * (1 - hidden) for hidden in (0.0, 0.5, 1.0)]
    assert blend(scores, Blend(), DECLARED) == pytest.approx(expected)
    only_stay = Blend(weights={"opened": 0, "liked": 0, "hidden": 0, "stay": -1.0})
    assert blend(scores, only_stay, DECLARED) == pytest.approx([(300 - 30) / 100] * 3)


def test_weights_of_the_rules_name_the_declared_heads(tmp_path: Path) -> None:
    path = tmp_path / "serving.json"
    weights = {"opened": 0.2, "liked": 0.8, "hidden": -0.5, "stay": 0.0}
    path.write_text(json.dumps({"rules": {"blend": {"weights": weights}}}))
    assert read_config(path, DECLARED).rules.blend.weights == weights
    with pytest.raises(RulesError, match="'opened' is unknown, the names are click, converted, engagement"):
        read_config(path)
    path.write_text(json.dumps({"rules": {"blend": {"weights": {"opened": -3_000}}}}))
    with pytest.raises(RulesError, match=r"opened is -3000.0, must be from -2000 to 2000; .*lacks liked, hidden, stay"):
        read_config(path, DECLARED)
