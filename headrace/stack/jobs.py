"""The Flink jobs of the stack: their names, how each is submitted, which checkpoint it resumes from.

`python -m headrace.stack.jobs NAME…` submits the named jobs from one client process, so that one JVM starts for all.
"""

import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec

from headrace.errors import EnvironmentProblem
from headrace.jobs.settings import JobSettings, file_uri
from headrace.lang.plan.source import Source
from headrace.layout import Endpoints, Layout, configured_endpoints
from headrace.schemas.topics import EVENTS
from headrace.store.versions import Versions, read_versions

INGEST = "ingest"
SAMPLES_JOB = "samples"
JOBS = (INGEST, "features", SAMPLES_JOB)  # of a new stack; versions applied later have their own jobs


def ingest_job(source: Source) -> str:
    """Name of the job that ingests a stream."""
    return INGEST if source.topic == EVENTS.name else f"{INGEST}-{source.name}"


def wanted_jobs(versions: Versions) -> tuple[str, ...]:
    """Every job that should run: one for each stream (tables first), the versions' jobs, and the sample join."""
    ingests = (ingest_job(source) for source in versions.sources().values())
    return tuple(dict.fromkeys((*ingests, *JOBS, *versions.jobs())))


def checkpoints(layout: Layout, job: str) -> Path:
    """Folder of a job's checkpoints."""
    return layout.checkpoints / job


def newest_checkpoint(folder: Path) -> str | None:
    """The newest complete checkpoint or savepoint of a job's folder, as a URI; None before its first one."""
    found = [*folder.glob("*/chk-*/_metadata"), *folder.glob("savepoint-*/_metadata")]
    return file_uri(max(found, key=lambda path: path.stat().st_mtime).parent) if found else None


def parallelisms(layout: Layout) -> dict[str, int]:
    """The subtasks of each job that was rescaled; other jobs have one."""
    if not layout.jobs_file.exists():
        return {}
    return msgspec.json.decode(layout.jobs_file.read_bytes(), type=dict[str, int])


def submit(layout: Layout, endpoints: Endpoints, names: tuple[str, ...]) -> None:
    """Submit jobs, each from its newest checkpoint if there is one.

    Raises:
        EnvironmentProblem: neither a stream nor a version has a job of this name.
    """
    from headrace.jobs import features, ingest, samples  # the Flink client is heavy: import it only to submit

    pace, versions = endpoints.pace, read_versions(endpoints.bootstrap)
    starters: dict[str, tuple[Callable[[JobSettings], None], int]] = {SAMPLES_JOB: (samples.submit, pace.samples_ms)}
    for source in versions.sources().values():
        starters[ingest_job(source)] = (partial(ingest.start, source), pace.ingest_ms)
    for job in versions.jobs():
        compute = partial(features.compute, versions.computed_by(job), from_ms=versions.reads_from(job))
        starters[job] = (compute, pace.features_ms)
    for name in names:
        if name not in starters:
            message = f"there is no job {name!r}; the jobs by topic control are {', '.join(starters)}"
            raise EnvironmentProblem(message)
        start, checkpoint_ms = starters[name]
        folder = None if configured_endpoints() else checkpoints(layout, name)  # a cluster elsewhere has its own
        start(
            JobSettings(
                bootstrap=endpoints.bootstrap,
                features=layout.features,
                name=name,
                parallelism=parallelisms(layout).get(name, 1),
                checkpoint_ms=checkpoint_ms,
                checkpoints=folder and file_uri(folder),
                compiled_plans=folder and folder / "plans",
                wait_ms=pace.wait_ms,
                correction_ms=pace.correction_ms,
                negative_rate=pace.negative_rate,
                restore=folder and newest_checkpoint(folder),
                cluster=endpoints.flink_address,
            )
        )


def main() -> None:
    """Submit the jobs named on the command line."""
    layout = Layout.here()
    submit(layout, layout.endpoints(), tuple(sys.argv[1:]) or JOBS)
    sys.stdout.flush()
    os._exit(0)  # a normal exit would wait for the client's JVM, which has nothing left to do


if __name__ == "__main__":
    main()
