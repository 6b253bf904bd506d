"""The learners of arms and of the challenger: which should run, and supervisord keeps exactly those."""

import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from msgspec import structs

from headrace.errors import EnvironmentProblem, UsageProblem
from headrace.layout import Layout, Pace
from headrace.log.trainings import finished_trainings
from headrace.models.ranker.config import DEVICE_VARIABLE
from headrace.registry.promotion import refuse_unfinished
from headrace.schemas.control import Control
from headrace.schemas.versions.version_policy import TRAINED
from headrace.serving.settings import Config
from headrace.serving.state.experiment import Arm, Experiment, Learning
from headrace.stack.learners import read_experiment, reconcile_learners, wanted_learners
from headrace.stack.ports import Ports, Secrets, local_endpoints
from headrace.stack.reconciler import reconcile_models
from headrace.stack.stack import pipeline_programs
from headrace.stack.supervisor import Program, Supervisor
from headrace.wait import wait_until

ENDPOINTS = local_endpoints(Ports(), Secrets(token="t", model_key="k", mask_key="m"), Pace())
OWN = Arm(name="slow", share=0.5, policy="model:slow", learner=Learning(samples="own", half_life_s=60.0))
ALL = Arm(name="fast", share=0.5, policy="model:fast", learner=Learning(samples="all", batch=32, seed=7))

DONE = Control(name="model/again", action=TRAINED, arguments={}, who="", at=1, why="")


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(tmp_path)
    layout.create()
    return layout


@pytest.fixture
def supervisor(layout: Layout) -> Iterator[Supervisor]:
    daemon = Supervisor(layout)
    daemon.start([waiter("first")])
    yield daemon
    daemon.shutdown()
    wait_until(lambda: not daemon.is_up(), what="the end of supervisord", deadline_s=20, hint="Look into its log.")


def waiter(name: str) -> Program:
    return Program(name=name, command=[sys.executable, "-c", "import signal; signal.pause()"], stop_wait_s=5)


def test_each_arm_with_a_model_has_a_learner_and_so_has_the_challenger(layout: Layout) -> None:
    layout.serving_file.write_bytes(msgspec.json.encode(Config(experiment=Experiment(arms=[OWN, ALL]))))
    wanted = wanted_learners(layout, ENDPOINTS, read_experiment(layout), challenger="again", trained=())
    arguments = {name: program.command[program.command.index("--model") + 1 :] for name, program in wanted.items()}
    assert arguments == {
        "learner-again": ["again"],
        "learner-slow": ["slow", "--batch", "64", "--seed", "0", "--half-life-s", "60", "--arm", "slow"],
        "learner-fast": ["fast", "--batch", "32", "--seed", "7"],
    }
    assert all(program.autostart for program in wanted.values())
    assert wanted_learners(layout, ENDPOINTS, Experiment(), challenger="", trained=()) == {}


def test_a_model_in_training_has_no_learner_and_cannot_challenge(layout: Layout) -> None:
    for model in ("again", "slow"):
        (layout.artefacts / model).mkdir()
        (layout.artefacts / model / "training.msgpack").touch()
    experiment = Experiment(arms=[OWN, ALL])
    finished = finished_trainings([b"another record", None, DONE.payload()])
    for trained, names in (((), {"learner-fast"}), (finished, {"learner-fast", "learner-again"})):
        wanted = wanted_learners(layout, ENDPOINTS, experiment, challenger="again", trained=trained)
        assert set(wanted) == names
    refuse_unfinished(layout, "again", trained=finished)
    with pytest.raises(UsageProblem, match="the training of slow is not finished; `headrace train --model slow`"):
        refuse_unfinished(layout, "slow", trained=finished)


def test_an_unreadable_calendar_stops_no_learner_update(layout: Layout, supervisor: Supervisor) -> None:
    layout.seasons_file.mkdir()  # a folder cannot be read
    reconcile_learners(supervisor, {"learner-left": waiter("learner-left")})
    (failure,) = reconcile_models(layout, ENDPOINTS, {}, trained=())
    assert "the season is left as it is" in failure
    wait_until(lambda: running(supervisor) == {"first"}, what="its removal", deadline_s=20, hint="Look.")


def test_an_invalid_experiment_is_refused(layout: Layout) -> None:
    live = structs.replace(OWN, share=1.0, policy="model:ranker")
    for text, message in ((b"{", "is not valid"), (config(live), "an arm trains ranker")):
        layout.serving_file.write_bytes(text)
        with pytest.raises(UsageProblem, match=message):
            read_experiment(layout)


def test_up_refuses_a_missing_device_and_invalid_fusion(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(pipeline_programs(layout, ENDPOINTS)) == 5
    monkeypatch.setenv(DEVICE_VARIABLE, "tpu")
    with pytest.raises(EnvironmentProblem, match="HEADRACE_DEVICE: device is 'tpu'"):
        pipeline_programs(layout, ENDPOINTS)
    monkeypatch.delenv(DEVICE_VARIABLE)
    layout.fusion_file.write_text("{")
    with pytest.raises(UsageProblem, match=r"fusion.json is not a valid declaration.*docs/vectors.md"):
        pipeline_programs(layout, ENDPOINTS)


def config(arm: Arm) -> bytes:
    return msgspec.json.encode(Config(experiment=Experiment(arms=[arm])))


def test_supervisord_runs_the_wanted_learners_and_no_others(layout: Layout, supervisor: Supervisor) -> None:
    for names in (("learner-a", "learner-b"), ("learner-b",), ("learner-a", "learner-b"), ()):
        reconcile_learners(supervisor, {name: waiter(name) for name in names})
        wait_until(
            lambda names=names: running(supervisor) == {"first", *names}, what=str(names), deadline_s=20, hint="Look."
        )
        assert {path.stem for path in layout.programs.iterdir()} == set(names)


def test_a_learner_with_new_arguments_is_restarted(supervisor: Supervisor) -> None:
    first = waiter("learner-a")
    other = structs.replace(first, command=[*first.command, "--arm"])
    begun: list[int] = []
    for program in (first, first, other):
        reconcile_learners(supervisor, {"learner-a": program})
        wait_until(lambda: "learner-a" in running(supervisor), what="the learner", deadline_s=20, hint="Look.")
        begun.append(supervisor.programs()["learner-a"][1])
    assert begun[0] == begun[1] != begun[2]


def running(supervisor: Supervisor) -> set[str]:
    return {name for name, (state, _) in supervisor.programs().items() if state == "RUNNING"}
