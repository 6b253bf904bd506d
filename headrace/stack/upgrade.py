"""Stop a Flink job with a savepoint, and let it go on from there: another release, or another number of subtasks."""

import time

import msgspec

from headrace.console import screen
from headrace.errors import EnvironmentProblem, HeadraceError, UsageProblem
from headrace.jobs.settings import file_uri
from headrace.layout import Layout, configured_endpoints, refuse_elsewhere
from headrace.stack.flink_rest import FlinkRest, Savepoint
from headrace.stack.jobs import checkpoints, parallelisms
from headrace.store.files import write_durably
from headrace.wait import wait_until

_SAVEPOINT_S, _START_S = 300, 180
_LOOK = "Look at Flink's page, the job's exceptions."


def upgrade(*names: str) -> None:
    """Restart jobs with the installed release, each from a savepoint; events wait on the log meanwhile.

    Args:
        names: jobs, as `headrace status` lists them; by default all, one after the other.
    """
    refuse_elsewhere("upgrade restarts jobs of the stack on this machine")
    layout = Layout.here()
    rest = FlinkRest(layout.endpoints().flink_url)
    for name in names or sorted(rest.jobs()):
        restart(layout, rest, name)


def rescale(name: str, parallelism: int) -> None:
    """Restart a job with another number of subtasks, from a savepoint. It keeps the number until it is changed again.

    Args:
        name: the job, as `headrace status` lists it.
        parallelism: its subtasks; more than its topics have partitions do not help.
    """
    refuse_elsewhere("rescale restarts a job of the stack on this machine")
    layout = Layout.here()
    rest = FlinkRest(layout.endpoints().flink_url)
    slots, before = rest.slots(), parallelisms(layout)
    if not 1 <= parallelism <= slots:
        message = f"the parallelism is {parallelism}, must be 1 to {slots}, the slots of the TaskManager"
        raise UsageProblem(message)
    _job_id(rest, name)
    write_durably(layout.jobs_file, msgspec.json.encode(before | {name: parallelism}))
    try:
        restart(layout, rest, name)
    except HeadraceError:
        write_durably(layout.jobs_file, msgspec.json.encode(before))
        raise


def stop(name: str, *, folder: str = "") -> None:
    """Stop a job of a cluster elsewhere with a savepoint, and say where it is.

    Args:
        name: the job, as `headrace status` lists it.
        folder: where to write the savepoint, a URI; by default the cluster's execution.checkpointing.savepoint-dir.
    """
    if configured_endpoints() is None:
        message = "this stack starts a stopped job again at once: use `headrace jobs upgrade`, or `headrace down`"
        raise UsageProblem(message)
    rest = FlinkRest(Layout.here().endpoints().flink_url)
    savepoint = stop_with_savepoint(rest, name, folder or None)
    screen().print(f"stopped {name}; go on from its savepoint:\nflink run -s {savepoint} …", soft_wrap=True)


def restart(layout: Layout, rest: FlinkRest, name: str) -> None:
    """Stop a job with a savepoint, and wait until the reconciler has started it from there.

    Raises:
        UsageProblem: no job has this name.
        EnvironmentProblem: the savepoint failed, or the job did not start.
    """
    begun, old = time.monotonic(), _job_id(rest, name)
    savepoint = stop_with_savepoint(rest, name, file_uri(checkpoints(layout, name)))
    stopped = time.monotonic()

    def runs_again() -> bool:
        return rest.jobs()[name][0] != old and rest.is_running(name)

    wait_until(runs_again, what=f"job {name}", deadline_s=_START_S, hint=f"Look at {layout.logs / 'reconciler.log'}.")
    took, without = time.monotonic() - begun, time.monotonic() - stopped
    screen().print(f"{name}: restarted from {savepoint} in {took:.1f} s, {without:.1f} s of them without it")


def stop_with_savepoint(rest: FlinkRest, name: str, folder: str | None) -> str:
    """Stop a job and return its savepoint; raises as `restart` does."""
    job_id = _job_id(rest, name)
    request, found = rest.stop(job_id, folder), list[Savepoint]()

    def ended() -> bool:
        found[:] = filter(None, [rest.savepoint(job_id, request)])
        return bool(found) and (bool(found[0].failure) or rest.jobs().get(name, ("", ""))[0] != job_id)

    wait_until(ended, what=f"the savepoint of {name}", deadline_s=_SAVEPOINT_S, hint=_LOOK)
    if found[0].failure:
        message = f"the savepoint of {name} failed, and the job keeps running: {found[0].failure}. {_LOOK}"
        raise EnvironmentProblem(message)
    return found[0].location


def _job_id(rest: FlinkRest, name: str) -> str:
    jobs = rest.jobs()
    if name not in jobs:
        message = f"no job {name!r} runs; there are {', '.join(sorted(jobs)) or 'none'}"
        raise UsageProblem(message)
    return jobs[name][0]
