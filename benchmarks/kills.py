"""kill -9 of the learner at random points of the log: are the parameters those of the run that was never stopped?"""

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from msgspec import Struct
from rich.console import Console

from benchmarks.harness.learners import Learners
from benchmarks.harness.machine import Machine, this_machine
from benchmarks.harness.report import carry_out
from headrace.layout import REPOSITORY
from headrace.stack import broker
from simulator.sample_stream import stream

RESULT = REPOSITORY / "benchmarks" / "results" / "kills.json"
_EVERY_MS = 40
_LATEST = 0.4  # share of the unbroken run's offsets that is shared out: a learner writes on until the kill is seen


class Result(Struct, frozen=True, kw_only=True):
    """One run. `after`: offsets by which the log had grown at each kill; `equal_*`: to the unbroken run's."""

    machine: Machine
    samples: int
    versions: int
    kills: int
    after: list[int]
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
        after = growths(learners.end(), kills, seed=seed)
        for growth in after:
            learners.kill_after("broken", growth)
        learners.run("broken")
        ours, theirs = learners.snapshots("broken"), learners.snapshots("unbroken")
        made, wanted = learners.manifests("broken"), learners.manifests("unbroken")
    return Result(
        machine=machine,
        samples=len(rows),
        versions=len(wanted),
        kills=kills,
        after=after,
        equal_snapshots=sum(ours[at].arrays_sha256 == meta.arrays_sha256 for at, meta in theirs.items() if at in ours),
        snapshots=len(theirs),
        equal_versions=sum(made[at].chunks == manifest.chunks for at, manifest in wanted.items() if at in made),
        seconds=round(time.monotonic() - begun, 1),
    )


def growths(offsets: int, kills: int, *, seed: int) -> list[int]:
    """By how much the log grows before each kill: random points of it, and the way from one to the next."""
    drawn = random.Random(seed)
    points = sorted(drawn.uniform(0.0, _LATEST * offsets) for _ in range(kills))
    return [max(1, round(point - before)) for before, point in zip([0.0, *points[:-1]], points, strict=True)]


def main() -> int:
    """`python -m benchmarks.kills`; 1 where anything differs."""
    parser = argparse.ArgumentParser(prog="headrace bench kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--slots", type=int, default=30_000)
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
