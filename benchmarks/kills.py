"""Kills the learner (kill -9) at random points of the log, and compares its parameters with an uninterrupted run."""

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct
from rich.console import Console

from benchmarks.harness.learners import Learners
from benchmarks.harness.machine import Machine, this_machine
from benchmarks.harness.report import run_and_save
from headrace.layout import REPOSITORY
from headrace.schemas.versions.version_policy import VersionId, version_text
from headrace.simulator.sample_stream import stream
from headrace.stack import broker

RESULT = REPOSITORY / "benchmarks" / "results" / "kills.json"
_EVERY_MS = 40
_LATEST_KILL_RATIO = 0.4  # of the uninterrupted run's log: a learner still writes until the kill takes effect


class Result(Struct, frozen=True, kw_only=True):
    """One run.

    Attributes:
        kill_after_offsets: growth of the log before each kill.
        equal_snapshots, equal_versions: number equal to those of the uninterrupted run.
        first_difference: the first version, as `epoch.seq`, that only one run has or that differs; empty if none does.
    """

    machine: Machine
    samples: int
    versions: int
    kills: int
    kill_after_offsets: list[int]
    equal_snapshots: int
    snapshots: int
    equal_versions: int
    took_s: float
    first_difference: str = ""


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
        offsets = kill_offsets(learners.end(), kills, seed=seed)
        for growth in offsets:
            learners.kill_after("killed", growth)
        learners.run("killed")
        snapshots, expected_snapshots = _snapshots(learners, "killed"), _snapshots(learners, "uninterrupted")
        versions, expected_versions = _versions(learners, "killed"), _versions(learners, "uninterrupted")
    different = differences(snapshots, expected_snapshots) | differences(versions, expected_versions)
    return Result(
        machine=machine,
        samples=len(rows),
        versions=len(expected_versions),
        kills=kills,
        kill_after_offsets=offsets,
        equal_snapshots=sum(snapshots.get(at) == sha256 for at, sha256 in expected_snapshots.items()),
        snapshots=len(expected_snapshots),
        equal_versions=sum(versions.get(at) == chunks for at, chunks in expected_versions.items()),
        took_s=round(time.monotonic() - begun, 1),
        first_difference=version_text(min(different)) if different else "",
    )


def differences(found: Mapping[VersionId, object], expected: Mapping[VersionId, object]) -> set[VersionId]:
    """The versions that differ, and those that only one run has."""
    return {at for at in found.keys() | expected.keys() if found.get(at) != expected.get(at)}


def _snapshots(learners: Learners, model: str) -> dict[VersionId, str]:
    return {at: meta.arrays_sha256 for at, meta in learners.snapshots(model).items()}


def _versions(learners: Learners, model: str) -> dict[VersionId, list[str]]:
    return {at: manifest.chunks for at, manifest in learners.manifests(model).items()}


def kill_offsets(offsets: int, kills: int, *, seed: int) -> list[int]:
    """Growth of the log before each kill: the distances between random points of the log."""
    rng = random.Random(seed)
    points = sorted(rng.uniform(0.0, _LATEST_KILL_RATIO * offsets) for _ in range(kills))
    return [max(1, round(point - before)) for before, point in zip([0.0, *points[:-1]], points, strict=True)]


def main() -> int:
    """`headrace bench kills`; returns 1 if anything differs, or if nothing was compared."""
    parser = argparse.ArgumentParser(prog="headrace bench kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=20, help="how often the learner is killed")
    parser.add_argument("--slots", type=int, default=30_000, help=f"slots of the log, one every {_EVERY_MS} ms")
    parser.add_argument("--seed", type=int, default=9, help="seed of the log and of the kills")
    parser.add_argument("--output", type=Path, default=RESULT, help="file of the result, JSON")
    chosen = parser.parse_args()
    result = run_and_save(
        "kills", lambda: measure(kills=chosen.kills, slots=chosen.slots, seed=chosen.seed), chosen.output
    )
    Console().print(
        f"{result.kills} kills over {result.versions} versions: {result.equal_snapshots} of {result.snapshots} "
        f"snapshots and {result.equal_versions} of {result.versions} versions equal those of the uninterrupted run; "
        f"{result.took_s} s"
    )
    if result.first_difference:
        Console(stderr=True).print(f"the first version that differs or is in one run only: {result.first_difference}")
    return int(bool(result.first_difference) or min(result.snapshots, result.versions) == 0)


if __name__ == "__main__":
    sys.exit(main())
