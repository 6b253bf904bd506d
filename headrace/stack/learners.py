"""The learners that a stack keeps beside live's: one for each model that an arm names, and the challenger's."""

import xmlrpc.client
from collections.abc import Collection, Mapping

import msgspec
from msgspec import structs

from headrace.errors import EnvironmentProblem, UsageProblem
from headrace.layout import Endpoints, Layout
from headrace.log.trainings import is_unfinished
from headrace.stack.programs import learner
from headrace.stack.supervisor import Program, Supervisor
from schemas.defaults import LIVE_MODEL
from serving.settings import read_config
from serving.state.experiment import Arm, Experiment, ExperimentError

_PREFIX = "learner-"  # the process and its log: logs/learner-<model>.log


def experiment_of(layout: Layout) -> Experiment:
    """The experiment of a stack, as `serving.json` in its folder says; the default one where there is no such file.

    Raises:
        UsageProblem: it cannot be read, or does not fit together.
    """
    if not layout.serving_file.exists():
        return Experiment()
    try:
        experiment = read_config(layout.serving_file).experiment
    except (OSError, msgspec.DecodeError, ExperimentError) as error:
        message = f"{layout.serving_file} cannot be followed: {error}; mend it, or move it away for one arm of live"
        raise UsageProblem(message) from error
    if LIVE_MODEL in experiment.own:
        message = (
            f"{layout.serving_file}: an arm has a learner of {LIVE_MODEL}, live's own; write model:live or another name"
        )
        raise UsageProblem(message)
    return experiment


def wanted_learners(
    layout: Layout, endpoints: Endpoints, experiment: Experiment, *, challenger: str, trained: Collection[str]
) -> dict[str, Program]:
    """The learners there are to be, by the names of their processes; none of a model that is being trained."""
    told = {model: _arguments(arm) for model, arm in experiment.own.items()}
    models = (
        {challenger: (), **told} if challenger not in ("", LIVE_MODEL) else told
    )  # a season's stands as it was trained
    return {
        f"{_PREFIX}{model}": structs.replace(
            learner(layout, endpoints, f"{_PREFIX}{model}", "--model", model, *arguments), autostart=True
        )
        for model, arguments in models.items()
        if not is_unfinished(layout, model, trained=trained)  # two writers would fence each other off
    }


def keep_learners(supervisor: Supervisor, wanted: Mapping[str, Program]) -> None:
    """Have those run that are wanted, as they are wanted, and no others.

    Raises:
        EnvironmentProblem: supervisord refuses it, or is away.
    """
    try:
        there = {name for name in supervisor.programs() if name.startswith(_PREFIX)}
        kept = {name for name in there & set(wanted) if supervisor.has_hired(wanted[name])}
        for name in there - kept:
            supervisor.dismiss(name)
        for name in set(wanted) - kept:
            supervisor.hire(wanted[name])
    except (OSError, xmlrpc.client.Error) as error:
        message = f"supervisord did not do as told, trying again: {error}; look at supervisord.log"
        raise EnvironmentProblem(message) from error


def _arguments(arm: Arm) -> tuple[str, ...]:
    learning = arm.learner
    if learning is None:
        return ()
    half_life = ("--half-life-s", f"{learning.half_life_s:g}") if learning.half_life_s is not None else ()
    own = ("--arm", arm.name) if learning.samples == "own" else ()
    return ("--batch", str(learning.batch), "--seed", str(learning.seed), *half_life, *own)
