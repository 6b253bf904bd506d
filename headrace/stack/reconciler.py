"""The keeper: sees to it that every job and learner of the stack runs, and writes down what the stack has started.

A standalone JobManager forgets its jobs when it dies. The keeper notices that a job is missing and
submits it again from its newest checkpoint. Learners beside live's come and go with what the experiment's arms and
the alias `challenger` name: supervisord keeps them, and the keeper itself.
"""

import subprocess
import sys
import threading
from collections.abc import Collection, Mapping

import httpx

from headrace.errors import HeadraceError
from headrace.layout import Endpoints, Layout
from headrace.log.trainings import finished_trainings
from headrace.stack import calendar, flink, supervisor
from headrace.stack.flink import FlinkRest
from headrace.stack.jobs import wanted_jobs
from headrace.stack.learners import experiment_of, keep_learners, wanted_learners
from headrace.stack.supervisor import Supervisor
from schemas.aliases import CHALLENGER, SEASON, followed_models
from schemas.breaker import BrokenProgram
from store.decisions import Decisions
from store.quarantine import KafkaSend, Quarantine
from store.versions import Versions

PERIOD_S = 2.0
_SUBMIT_LIMIT_S = 120
# The client lives for seconds: without the optimising compiler it plans and submits in a third of the time.
_CLIENT_JVM = "-Xmx256m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC"


def missing_jobs(rest: FlinkRest, versions: Versions) -> tuple[str, ...]:
    """Jobs that should run and do not; none while there is no TaskManager to run them."""
    if not rest.slots():
        return ()
    present = rest.jobs()
    return tuple(name for name in wanted_jobs(versions) if name not in present)


def end_retired(rest: FlinkRest, versions: Versions) -> None:
    """Cancel the jobs of versions that are gone; a job that the registry never named is none of ours."""
    for name, (job_id, _) in rest.jobs().items():
        if name in versions.ended:
            rest.cancel(job_id)


def submit_in_client(layout: Layout, names: tuple[str, ...]) -> None:
    """Run one client process that submits these jobs."""
    sys.stdout.write(f"submitting {', '.join(names)}\n")
    client = [sys.executable, "-m", "headrace.stack.jobs", *names]
    environment = flink.environment(layout) | {"JVM_ARGS": _CLIENT_JVM}
    try:
        subprocess.run(client, check=True, timeout=_SUBMIT_LIMIT_S, env=supervisor.inherit(layout, environment))
    except subprocess.SubprocessError as error:
        sys.stdout.write(f"submitting failed, trying again: {error}\n")


def keep_models(
    layout: Layout, endpoints: Endpoints, models: Mapping[str, str], *, trained: Collection[str]
) -> list[str]:
    """Turn the season, and have the learners run that are wanted, each whatever becomes of the other.

    Args:
        layout: the stack's folder.
        endpoints: its addresses.
        models: what each alias follows.
        trained: the models whose training is through.

    Returns:
        What stands in the way.
    """
    troubles: list[str] = []
    try:
        calendar.turn(layout, endpoints, followed=models.get(SEASON, ""), trained=trained)
    except HeadraceError as error:
        troubles.append(f"the season is left as it is: {error}\n")
    try:
        challenger, experiment = models.get(CHALLENGER, ""), experiment_of(layout)
        wanted = wanted_learners(layout, endpoints, experiment, challenger=challenger, trained=trained)
        keep_learners(Supervisor(layout), wanted)
    except HeadraceError as error:
        troubles.append(f"the learners beside live's are left as they are: {error}\n")
    return troubles


def keep(layout: Layout, endpoints: Endpoints, *, stop: threading.Event) -> None:
    """Look every two seconds, until told to stop.

    Raises:
        BrokenProgram: most decisions cannot be followed.
    """
    rest, versions = FlinkRest(endpoints.flink_url), Versions()
    registry = Decisions(endpoints.bootstrap, Quarantine("the keeper", KafkaSend(endpoints.bootstrap)))
    models: dict[str, str] = {}
    trained: frozenset[str] = frozenset()
    troubles: list[str] = []
    while not stop.wait(PERIOD_S):
        supervisor.record(layout)
        payloads = registry.read(0.1)
        versions, models = versions.apply_all(payloads), followed_models(payloads, models)
        trained |= finished_trainings(payloads)
        if not registry.at_end:
            continue  # half of the decisions are none
        before, troubles = troubles, keep_models(layout, endpoints, models, trained=trained)
        sys.stdout.writelines(each for each in troubles if each not in before)
        try:
            end_retired(rest, versions)
            missing = missing_jobs(rest, versions)
        except httpx.HTTPError:
            continue  # no JobManager at the moment: supervisord brings it back
        if missing:
            submit_in_client(layout, missing)


if __name__ == "__main__":
    here = Layout.here()
    try:
        keep(here, here.endpoints(), stop=threading.Event())
    except BrokenProgram as error:
        raise SystemExit(str(error)) from error
