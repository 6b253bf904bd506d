"""The learner's process after a changed declaration, on a real log: it carries over what it can, in a new epoch."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.harness.learners import Learners
from headrace.errors import EnvironmentProblem, UsageProblem
from headrace.layout import Layout
from headrace.log.model_versions import read_model_versions
from headrace.models.ranker.config import RankerConfig, load_ranker_config
from headrace.registry.rollback import check_reachable
from headrace.schemas.versions.version_policy import VersionPolicy
from headrace.serving.versions import snapshot
from headrace.simulator.sample_stream import START_MS, stream
from headrace.stack import broker
from headrace.store.location import parse_location

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]
HIDDEN = """
[heads.click]
events = ["click"]
event_weight = 3.0
blend = 1.0

[heads.hidden]
events = ["hide"]
blend = -0.5
"""


@pytest.fixture(scope="module")
def learners(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Learners]:
    home = tmp_path_factory.mktemp("broker")
    with broker.running(home / "kafka") as endpoints:
        made = Learners(endpoints, home / "artefacts")
        made.write(stream(2_000, seed=9))
        made.run("ranker")
        made.write(stream(2_000, seed=10, begin_ms=START_MS + 2_000 * 40))
        yield made


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("features")
    (folder / "model.toml").write_text(HIDDEN)
    return folder


def test_another_model_begins_with_what_the_old_one_learned(learners: Learners, changed: Path) -> None:
    with pytest.raises(EnvironmentProblem, match="--warm-start is nobody, which has no snapshot"):
        learners.run("ranker-2", "--features", str(changed), "--warm-start", "nobody")
    learners.run("ranker-2", "--features", str(changed), "--warm-start", "ranker")
    made, donors = learners.manifests("ranker-2"), learners.snapshots("ranker")
    assert min(made) == (1, 1)
    assert made[1, 1].offsets["0"] == donors[max(donors)].offset
    assert made[1, 1].rows["item"] > 50
    assert max(made)[1] > 2, "it did not go on learning"
    learners.run("ranker-2", "--features", str(changed), "--warm-start", "ranker")
    assert learners.manifests("ranker-2").keys() == made.keys(), "it started once more instead of going on"


def test_the_same_model_goes_on_in_a_new_epoch(learners: Learners, changed: Path) -> None:
    with pytest.raises(EnvironmentProblem, match="start it once with --warm-start ranker"):
        learners.run("ranker", "--features", str(changed))
    learners.run("ranker", "--features", str(changed), "--warm-start", "ranker")
    made = learners.manifests("ranker")
    last = max(made)
    assert last[0] == 2
    assert last[1] > 2, "it did not go on learning"
    config, folder = load_ranker_config(None, changed), parse_location(learners.artefacts / "ranker" / "snapshots")
    served = snapshot.latest(folder, config, after=(0, 0), policy=VersionPolicy())
    assert served is not None
    assert served.model.config.heads.names == ("click", "hidden")
    old = snapshot.latest(folder, RankerConfig(), after=(0, 0), policy=VersionPolicy())
    assert old is not None
    assert old.meta.epoch == 1, "one who still has the old declaration stays with the old epoch"
    assert made[2, 1].offsets["0"] == old.meta.offset


def test_a_rollback_stays_within_the_declaration(learners: Learners, tmp_path: Path) -> None:
    layout, chain = Layout(tmp_path), read_model_versions(learners.endpoints)
    layout.artefacts = learners.artefacts
    last = max(chain.versions)
    assert last[0] == 2
    check_reachable(layout, learners.endpoints, chain, (2, last[1] - 1))
    with pytest.raises(UsageProblem, match=r"version 1\.2 has other inputs or heads than 2\."):
        check_reachable(layout, learners.endpoints, chain, (1, 2))
