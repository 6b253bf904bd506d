"""The learners other than live's: one for each model that an arm trains, and the challenger's."""

import xmlrpc.client
from collections.abc import Collection, Mapping

import msgspec
from msgspec import structs

from headrace.errors import EnvironmentProblem, UsageProblem
from headrace.layout import Endpoints, Layout
from headrace.log.trainings import is_unfinished
from headrace.schemas.defaults import LIVE_MODEL
from headrace.serving.settings import read_config
from headrace.serving.state.experiment import Arm, Experiment, ExperimentError
from headrace.stack.model_settings import ranker
from headrace.stack.programs import LEARNER_PREFIX, learner
from headrace.stack.supervisor import Program, Supervisor


def read_experiment(layout: Layout) -> Experiment:
    """Read the stack's experiment from `serving.json` in its folder; the default one if there is no such file.

    Raises:
        UsageProblem: the file cannot be read, or its parts contradict each other.
    """
    if not layout.serving_file.exists():
        return Experiment()
    try:
        experiment = read_config(layout.serving_file, ranker(layout).heads).experiment
    except (OSError, msgspec.DecodeError, ExperimentError) as error:
        message = f"{layout.serving_file} is not valid: {error}; fix it, or remove it to serve live to all users"
        raise UsageProblem(message) from error
    if LIVE_MODEL in experiment.own:
        message = f"{layout.serving_file}: an arm trains {LIVE_MODEL}, which is live; write model:live or another name"
        raise UsageProblem(message)
    return experiment


def wanted_learners(
    layout: Layout, endpoints: Endpoints, experiment: Experiment, *, challenger: str, trained: Collection[str]
) -> dict[str, Program]:
    """Learners that should run, by process name; a model whose training is not complete has none."""
    own = {model: _arguments(arm) for model, arm in experiment.own.items()}
    models = {challenger: (), **own} if challenger not in ("", LIVE_MODEL) else own  # seasons' models do not learn
    return {
        f"{LEARNER_PREFIX}{model}": structs.replace(
            learner(layout, endpoints, f"{LEARNER_PREFIX}{model}", *arguments, model=model), autostart=True
        )
        for model, arguments in models.items()
        if not is_unfinished(layout, model, trained=trained)  # two writers would fence each other off
    }


def reconcile_learners(supervisor: Supervisor, wanted: Mapping[str, Program]) -> None:
    """Run the wanted learners with exactly these arguments, and no others.

    Raises:
        EnvironmentProblem: supervisord refuses, or does not answer.
    """
    try:
        present = {name for name in supervisor.programs() if name.startswith(LEARNER_PREFIX)}
        unchanged = {name for name in present & set(wanted) if supervisor.has_added(wanted[name])}
        for name in present - unchanged:
            supervisor.remove(name)
        for name in set(wanted) - unchanged:
            supervisor.add(wanted[name])
    except (OSError, xmlrpc.client.Error) as error:
        message = f"supervisord could not start or stop a learner, trying again: {error}; look at supervisord.log"
        raise EnvironmentProblem(message) from error


def _arguments(arm: Arm) -> tuple[str, ...]:
    learning = arm.learner
    if learning is None:
        return ()
    half_life = ("--half-life-s", f"{learning.half_life_s:g}") if learning.half_life_s is not None else ()
    own = ("--arm", arm.name) if learning.samples == "own" else ()
    return ("--batch", str(learning.batch), "--seed", str(learning.seed), *half_life, *own)
