"""kill -9 of the learner at random points of the log: are the parameters those of the run that was never stopped?"""

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

from msgspec import Struct
from rich.console import Console

from benchmarks.learners import Learners
from benchmarks.machine import Machine, this_machine
from benchmarks.report import carry_out
from headrace import broker
from headrace.errors import EnvironmentProblem
from headrace.layout import REPOSITORY
from headrace.wait import wait_until
from schemas.topics import MODEL_DELTAS
from tests.learner.sample_world import stream

RESULT = REPOSITORY / "benchmarks" / "results" / "kills.json"
_EVERY_MS = 40
_LATEST = 0.95  # share of the log's end at which the last kill may come
_PROGRESS_S = 120.0


class Result(Struct, frozen=True, kw_only=True):
    """One run. `at_share`: where the kills fell, as shares of what the whole run writes; `equal_*`: to the unbroken."""

    machine: Machine
    samples: int
    versions: int
    kills: int
    at_share: list[float]
    equal_snapshots: int
    snapshots: int
    equal_versions: int
    seconds: float


def measure(*, kills: int, slots: int, seed: int) -> Result:
    """Run one model unbroken and one with kills over the same log, and compare everything.

    Raises:
        EnvironmentProblem: a learner did not get on.
    """
    machine, begun = this_machine(), time.monotonic()
    with tempfile.TemporaryDirectory() as home, broker.running(Path(home) / "kafka") as endpoints:
        learners = Learners(endpoints, Path(home) / "artefacts")
        rows = stream(slots, seed=seed, every_ms=_EVERY_MS)
        learners.write(rows)
        learners.run("unbroken")
        written = len(learners.read(MODEL_DELTAS))
        at_share = sorted(random.Random(seed).uniform(0.0, _LATEST) for _ in range(kills))
        _break(learners, learners.end(), [round(share * written) for share in at_share])
        learners.run("broken")
        ours, theirs = learners.snapshots("broken"), learners.snapshots("unbroken")
        made, wanted = learners.manifests("broken"), learners.manifests("unbroken")
    return Result(
        machine=machine,
        samples=len(rows),
        versions=len(wanted),
        kills=kills,
        at_share=[round(share, 3) for share in at_share],
        equal_snapshots=sum(ours[at].arrays_sha256 == meta.arrays_sha256 for at, meta in theirs.items() if at in ours),
        snapshots=len(theirs),
        equal_versions=sum(made[at].chunks == manifest.chunks for at, manifest in wanted.items() if at in made),
        seconds=round(time.monotonic() - begun, 1),
    )


def _break(learners: Learners, begin: int, points: list[int]) -> None:
    """Kill a learner each time the log has grown to the next point."""
    for point in points:
        victim = learners.start("broken", "--stop-at-end")

        def there(victim=victim, point=point) -> bool:
            if victim.poll() is not None:
                message = f"the learner ended before it was killed: {victim.communicate()[1][-2000:]}"
                raise EnvironmentProblem(message)
            return learners.end() >= begin + point

        wait_until(there, what=f"message {point}", deadline_s=_PROGRESS_S, mend="Look at the learner's errors.")
        os.kill(victim.pid, signal.SIGKILL)
        victim.communicate()


def main() -> int:
    """`python -m benchmarks.kills`; 1 where anything differs."""
    parser = argparse.ArgumentParser(prog="headrace bench kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--slots", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=9)
    parser.add_argument("--output", type=Path, default=RESULT)
    chosen = parser.parse_args()
    result = carry_out(
        "kills", lambda: measure(kills=chosen.kills, slots=chosen.slots, seed=chosen.seed), chosen.output
    )
    Console().print(
        f"{result.kills} kills over {result.versions} versions: {result.equal_snapshots} of {result.snapshots} "
        f"snapshots and {result.equal_versions} of {result.versions} versions are those of the unbroken run; "
        f"{result.seconds} s"
    )
    return int(result.equal_snapshots < result.snapshots or result.equal_versions < result.versions)


if __name__ == "__main__":
    sys.exit(main())
