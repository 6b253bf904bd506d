"""`headrace models export` writes the newest snapshot's ranker, or reports that there is no snapshot."""

import msgspec
import numpy as np
import onnx
import pytest

from headrace.errors import UsageProblem
from headrace.layout import STATE_VARIABLE
from headrace.learner.versions.cuts import Checkpoint
from headrace.learner.versions.snapshot import Snapshots
from headrace.models.ranker.arrays import flatten
from headrace.models.ranker.config import RankerConfig
from headrace.models.ranker.training import Trainer
from headrace.registry.export import export
from headrace.schemas.versions.snapshot import SnapshotMeta
from headrace.store.location import parse_location

CONFIG = RankerConfig(dim=4, history=5, attention=6, rank=5, hidden=(8, 6), vector=4)


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path))
    monkeypatch.chdir(tmp_path)


def saved(folder, version):
    epoch, seq = version
    trainer = Trainer(CONFIG, np.random.default_rng(seq))
    numbers = dict.fromkeys(("clock_ms", "started_ms", "published_ms", "next_publish_ms", "next_snapshot_ms"), 0)
    meta = msgspec.convert(
        {"model": "ranker", "epoch": epoch, "seq": seq, "hash": "h", "schema": CONFIG.schema(), "offset": 0}
        | {"settings": CONFIG.settings(), **numbers},
        SnapshotMeta,
    )
    Snapshots(parse_location(folder)).save(Checkpoint(meta, flatten(trainer.state())))
    return trainer.state().dense


def test_the_newest_snapshot_is_written(tmp_path, capsys):
    folder = tmp_path / "artefacts" / "ranker" / "snapshots"
    saved(folder, (1, 9))
    dense = saved(folder, (1, 10))
    export()
    graph = onnx.load(tmp_path / "ranker-1.10.onnx")
    weights = {each.name: onnx.numpy_helper.to_array(each) for each in graph.graph.initializer}
    np.testing.assert_array_equal(weights["mlp_1"], dense["mlp_1"])
    assert "version 1.10" in capsys.readouterr().out


def test_without_a_snapshot_the_folder_is_named():
    with pytest.raises(UsageProblem, match=r"ranker/snapshots has no complete snapshot"):
        export()
