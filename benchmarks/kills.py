"""Kills the learner (kill -9) at random points of the log, and compares its parameters with an uninterrupted run."""

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
from benchmarks.harness.report import run_and_save
from headrace.layout import REPOSITORY
from headrace.stack import broker
from simulator.sample_stream import stream

RESULT = REPOSITORY / "benchmarks" / "results" / "kills.json"
_EVERY_MS = 40
_LATEST = 0.4  # latest kill as a share of the uninterrupted run: a learner still writes until the kill takes effect


class Result(Struct, frozen=True, kw_only=True):
    """One run.

    Attributes:
        after: growth of the log in offsets before each kill.
        equal_snapshots, equal_versions: number equal to those of the uninterrupted run.
    """

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
    """Run one model without kills and one with kills over the same log, and compare snapshots and versions.

    Raises:
        EnvironmentProblem: a learner failed or made no progress.
    """
    machine, begun = this_machine(), time.monotonic()
    with tempfile.TemporaryDirectory() as home, broker.running(Path(home) / "kafka") as endpoints:
        learners = Learners(endpoints, Path(home) / "artefacts")
        rows = stream(slots, seed=seed, every_ms=_EVERY_MS)
        learners.write(rows)
        learners.run("uninterrupted")
        after = growths(learners.end(), kills, seed=seed)
        for growth in after:
            learners.kill_after("killed", growth)
        learners.run("killed")
        found, expected = learners.snapshots("killed"), learners.snapshots("uninterrupted")
        found_versions, expected_versions = learners.manifests("killed"), learners.manifests("uninterrupted")
    return Result(
        machine=machine,
        samples=len(rows),
        versions=len(expected_versions),
        kills=kills,
        after=after,
        equal_snapshots=sum(
            found[at].arrays_sha256 == meta.arrays_sha256 for at, meta in expected.items() if at in found
        ),
        snapshots=len(expected),
        equal_versions=sum(
            found_versions[at].chunks == manifest.chunks
            for at, manifest in expected_versions.items()
            if at in found_versions
        ),
        seconds=round(time.monotonic() - begun, 1),
    )


def growths(offsets: int, kills: int, *, seed: int) -> list[int]:
    """Growth of the log before each kill: the distances between random points of the log."""
    drawn = random.Random(seed)
    points = sorted(drawn.uniform(0.0, _LATEST * offsets) for _ in range(kills))
    return [max(1, round(point - before)) for before, point in zip([0.0, *points[:-1]], points, strict=True)]


def main() -> int:
    """`headrace bench kills`; returns 1 if anything differs, or if nothing was compared."""
    parser = argparse.ArgumentParser(prog="headrace bench kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--slots", type=int, default=30_000)
    parser.add_argument("--seed", type=int, default=9)
    parser.add_argument("--output", type=Path, default=RESULT)
    chosen = parser.parse_args()
    result = run_and_save(
        "kills", lambda: measure(kills=chosen.kills, slots=chosen.slots, seed=chosen.seed), chosen.output
    )
    Console().print(
        f"{result.kills} kills over {result.versions} versions: {result.equal_snapshots} of {result.snapshots} "
        f"snapshots and {result.equal_versions} of {result.versions} versions equal those of the uninterrupted run; "
        f"{result.seconds} s"
    )
    compared = min(result.snapshots, result.versions) > 0
    equal = result.equal_snapshots == result.snapshots and result.equal_versions == result.versions
    return int(not (compared and equal))


if __name__ == "__main__":
    sys.exit(main())
