"""Two arms with a model each on a real log: each learner publishes its own, serving answers each arm with its own."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from msgspec import structs

from benchmarks.harness.learners import Learners
from headrace.connections.redis_clients import Client
from headrace.layout import FEATURES
from headrace.models.ranker.config import RankerConfig
from headrace.schemas.http import RecommendationAnswer
from headrace.schemas.versions.version_policy import version_text
from headrace.serving import services
from headrace.serving.feeder import Feeder
from headrace.serving.limits.deadline import Deadline
from headrace.serving.services import Services
from headrace.serving.settings import Config, FeederSettings, Settings
from headrace.serving.shared.publisher import Publisher
from headrace.serving.shared.subscriber import SharedState
from headrace.serving.state.experiment import Arm, Experiment, Learning
from headrace.serving.state.query import Query
from headrace.serving.state.report import NotPublished
from headrace.serving.telemetry.stopwatch import Stopwatch
from headrace.simulator.sample_stream import stream
from headrace.stack import broker
from headrace.wait import wait_until
from tests.support import serving_states as worlds

pytestmark = [pytest.mark.stack, pytest.mark.long, pytest.mark.timeout(300)]
ARMS = [
    Arm(name="all", share=0.5, policy="model:every", learner=Learning(samples="all")),
    Arm(name="own", share=0.5, policy="model:own", learner=Learning(samples="own")),
    Arm(name="late", share=0.0, policy="model:late", learner=Learning(samples="all")),
]
ROWS = [structs.replace(row, arm=ARMS[place % 2].name) for place, row in enumerate(stream(3_000, seed=3))]


@pytest.fixture(scope="module")
def learners(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Learners]:
    folder = tmp_path_factory.mktemp("arms")
    with broker.running(folder / "broker") as endpoints:
        made = Learners(endpoints, folder / "artefacts")
        made.write(ROWS)
        made.run("every")
        made.run("own", "--arm", "own")
        yield made


@pytest.fixture
def serving(learners: Learners, client: Client, tmp_path: Path) -> Iterator[Services]:
    """A worker's services on the state that a feeder publishes, both in this process."""
    endpoints, stop = learners.endpoints, threading.Event()
    common = {
        "bootstrap": endpoints.bootstrap,
        "redis": f"redis://127.0.0.1:{client.connection_pool.connection_kwargs['port']}",
        "artefacts": learners.artefacts,
        "features": FEATURES,
        "shared": tmp_path,
        "model": "ranker",
        "config": Config(experiment=Experiment(arms=ARMS)),
    }
    feeder = Feeder(FeederSettings(**common, key=endpoints.model_key.encode()))
    worlds.live(with_model=False, holder=feeder.live)
    feeder.live.progress.control_read = False
    publishing = threading.Thread(target=feeder.publish, args=(Publisher(tmp_path), stop))
    threads = [*feeder.start(stop), publishing]
    publishing.start()
    states = SharedState(tmp_path, RankerConfig())
    yield services.build(Settings(**common, host="127.0.0.1", port=0), states)
    stop.set()
    for thread in threads:
        thread.join(20)


def test_each_arm_is_answered_by_the_version_of_its_own_model(learners: Learners, serving: Services) -> None:
    made = {model: learners.manifests(model) for model in ("every", "own")}
    newest = {model: version_text(max(of)) for model, of in made.items()}
    rows = {model: sum(of[place].rows["item"] for place in of) for model, of in made.items()}
    assert 0 < rows["own"] < rows["every"]
    hint = "Look at what the test printed."
    wait_until(lambda: versions(serving) == newest, what=str(newest), deadline_s=60, hint=hint)
    expected = ((newest["every"], 0), (newest["own"], 0), ("", 2))
    for (version, level), answer in zip(expected, asyncio.run(answers(serving)), strict=True):
        assert answer.versions.model == version
        assert (answer.degraded.level >= 2) == (level == 2), answer.degraded
        assert ("no model under alias 'late': ordered by popularity" in answer.degraded.reasons) == (level == 2)


async def answers(serving: Services) -> list[RecommendationAnswer]:
    deadline = Deadline.after(10_000, received_s=time.monotonic())
    return [await serving.pipeline.recommend(query(arm), deadline, Stopwatch()) for arm in ARMS]


def versions(serving: Services) -> dict[str, str]:
    with suppress(NotPublished):
        return {alias: served.version for alias, served in serving.states.state.models.items()}
    return {}


def query(arm: Arm) -> Query:
    return worlds.query(arm=arm, request_id=f"of-{arm.name}")
