"""The rules of slates come from `serving.json`, and what is wrong with them is reported before serving starts."""

import json
from pathlib import Path

import pytest

from headrace.serving.settings import read_config
from headrace.serving.stages.retrieve import retrieve
from headrace.serving.stages.rules import DEFAULTS, RulesError
from headrace.serving.state.query import Faults
from tests.support import serving_states as worlds


def config(folder: Path, rules: dict[str, object]) -> Path:
    path = folder / "serving.json"
    path.write_text(json.dumps({"rules": rules}))
    return path


def test_a_file_without_rules_has_the_defaults(tmp_path: Path) -> None:
    assert read_config(config(tmp_path, {})).rules == DEFAULTS


def test_quotas_and_the_number_of_candidates_count(tmp_path: Path) -> None:
    quotas = {"nearest": 30, "newest": 5, "popular": 5, "next": 0, "together": 0, "content": 0}
    rules = read_config(config(tmp_path, {"candidates": 90, "quotas": quotas})).rules
    found = retrieve(worlds.query(), worlds.state(count=400, categories=8), Faults(), rules)
    assert {name: len(ids) for name, ids in found.items()} == {**quotas, "trending": 50}


def test_every_problem_is_named(tmp_path: Path) -> None:
    rules = {
        "candidates": 0,
        "exploration": 1.5,
        "quotas": {"nearst": 3, "newest": -1},
        "blend": {"weights": {"click": 1, "likes": 1}},
    }
    with pytest.raises(RulesError) as raised:
        read_config(config(tmp_path, rules))
    for part in (
        "rules.candidates is 0, must be from 1 to 2000",
        "rules.exploration is 1.5, must be from 0 to 1",
        "rules.quotas: 'nearst' is unknown, the names are nearest, ",
        "rules.quotas.newest is -1",
        "rules.blend.weights: 'likes' is unknown",
        "rules.blend.weights lacks converted, engagement",
    ):
        assert part in str(raised.value)
