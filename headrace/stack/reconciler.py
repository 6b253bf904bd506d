"""The reconciler: keeps every job and learner running, and records the stack's processes.

A standalone JobManager forgets its jobs when it dies. The reconciler notices that a job is missing and submits it again
from its newest checkpoint. It starts and stops the learners other than live's as the experiment's arms and the alias
`challenger` name them. supervisord keeps the learners and the reconciler itself alive.
"""

import subprocess
import sys
import threading
from collections.abc import Collection, Mapping

import httpx

from headrace.errors import HeadraceError
from headrace.layout import Endpoints, Layout
from headrace.log.trainings import finished_trainings
from headrace.schemas.breaker import BrokenProgram
from headrace.schemas.versions.aliases import CHALLENGER, SEASON, followed_models
from headrace.stack import calendar, flink, supervisor
from headrace.stack.flink_rest import FlinkRest
from headrace.stack.jobs import wanted_jobs
from headrace.stack.learners import read_experiment, reconcile_learners, wanted_learners
from headrace.stack.supervisor import Supervisor
from headrace.store.kafka.decision_reader import DecisionReader
from headrace.store.kafka.quarantine import KafkaSend, Quarantine
from headrace.store.versions import Versions

PERIOD_S = 2.0
_SUBMIT_LIMIT_S = 120
# The client runs for seconds: without the optimising compiler it plans and submits in a third of the time.
_CLIENT_JVM = "-Xmx256m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC"


def missing_jobs(rest: FlinkRest, versions: Versions) -> tuple[str, ...]:
    """Jobs that should run and do not; empty while there is no TaskManager to run them."""
    if not rest.slots():
        return ()
    present = rest.jobs()
    return tuple(name for name in wanted_jobs(versions) if name not in present)


def cancel_retired(rest: FlinkRest, versions: Versions) -> None:
    """Cancel the jobs of retired versions; jobs that no decision names are left alone."""
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


def reconcile_models(
    layout: Layout, endpoints: Endpoints, models: Mapping[str, str], *, trained: Collection[str]
) -> list[str]:
    """Follow the season and run the wanted learners; a failure of one does not stop the other.

    Args:
        layout: the stack's folder.
        endpoints: its addresses.
        models: the model that each alias follows.
        trained: the models whose training is complete.

    Returns:
        One line for each failure.
    """
    failures: list[str] = []
    try:
        calendar.follow_season(layout, endpoints, followed=models.get(SEASON, ""), trained=trained)
    except HeadraceError as error:
        failures.append(f"the season is left as it is: {error}\n")
    try:
        challenger, experiment = models.get(CHALLENGER, ""), read_experiment(layout)
        wanted = wanted_learners(layout, endpoints, experiment, challenger=challenger, trained=trained)
        reconcile_learners(Supervisor(layout), wanted)
    except HeadraceError as error:
        failures.append(f"the learners of arms and of the challenger are left as they are: {error}\n")
    return failures


def run(layout: Layout, endpoints: Endpoints, *, stop: threading.Event) -> None:
    """Reconcile every two seconds until `stop` is set.

    Raises:
        BrokenProgram: most decisions cannot be followed.
    """
    rest, versions = FlinkRest(endpoints.flink_url), Versions()
    decisions = DecisionReader(endpoints.bootstrap, Quarantine("the reconciler", KafkaSend(endpoints.bootstrap)))
    models: dict[str, str] = {}
    trained: frozenset[str] = frozenset()
    failures: list[str] = []
    while not stop.wait(PERIOD_S):
        supervisor.record(layout)
        payloads = decisions.read(0.1)
        versions, models = versions.apply_all(payloads), followed_models(payloads, models)
        trained |= finished_trainings(payloads)
        if not decisions.at_end:
            continue  # the topic is only partly read: do not act on half of the decisions
        reported, failures = failures, reconcile_models(layout, endpoints, models, trained=trained)
        sys.stdout.writelines(each for each in failures if each not in reported)
        try:
            cancel_retired(rest, versions)
            missing = missing_jobs(rest, versions)
        except httpx.HTTPError:
            continue  # no JobManager at the moment: supervisord restarts it
        if missing:
            submit_in_client(layout, missing)


if __name__ == "__main__":
    here = Layout.here()
    try:
        run(here, here.endpoints(), stop=threading.Event())
    except BrokenProgram as error:
        raise SystemExit(str(error)) from error
