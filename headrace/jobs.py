"""The Flink jobs of the stack: which there are, how each is submitted, which checkpoint it resumes from.

`python -m headrace.jobs NAME…` submits the named jobs from one client process: a JVM starts once for all.
"""

import os
import sys
from pathlib import Path

from headrace.layout import REPOSITORY, Endpoints, Layout

JOBS = ("ingest", "features", "samples")
FEATURES = REPOSITORY / "features"


def checkpoints(layout: Layout, job: str) -> Path:
    """Folder of a job's checkpoints."""
    return layout.checkpoints / job


def newest_checkpoint(layout: Layout, job: str) -> str | None:
    """The newest complete checkpoint of a job, as a URI; None before its first one."""
    found = list(checkpoints(layout, job).glob("*/chk-*/_metadata"))
    return max(found, key=lambda path: path.stat().st_mtime).parent.as_uri() if found else None


def submit(layout: Layout, endpoints: Endpoints, names: tuple[str, ...]) -> None:
    """Submit jobs, each from its newest checkpoint if there is one."""
    from jobs import environment, features, ingest, samples  # the Flink client is heavy: only who submits pays

    pace = endpoints.pace
    submitters = {
        "ingest": (ingest.submit, pace.ingest_ms),
        "features": (features.submit, pace.features_ms),
        "samples": (samples.submit, pace.samples_ms),
    }
    for name in names:
        start, checkpoint_ms = submitters[name]
        start(
            environment.JobSettings(
                bootstrap=endpoints.bootstrap,
                features=FEATURES,
                checkpoint_ms=checkpoint_ms,
                checkpoints=checkpoints(layout, name).as_uri(),
                wait_ms=pace.wait_ms,
                correction_ms=pace.correction_ms,
                restore=newest_checkpoint(layout, name),
                cluster=f"127.0.0.1:{endpoints.flink_rest}",
            )
        )


def main() -> None:
    """Submit the jobs named on the command line."""
    layout = Layout.here()
    submit(layout, layout.endpoints(), tuple(sys.argv[1:]) or JOBS)
    sys.stdout.flush()
    os._exit(0)  # the client's JVM would be waited for; it has nothing left to do


if __name__ == "__main__":
    main()
