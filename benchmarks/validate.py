"""Seconds of `headrace features validate` for fifty groups as a whole process, compared with an empty Python process.

The groups are renamed copies of the shipped ones. The two processes alternate. The benchmark counts child processes, so
that it would notice a JVM.
"""

import argparse
import contextlib
import itertools
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from msgspec import Struct

from benchmarks.harness.machine import Machine, this_machine
from benchmarks.harness.report import run_and_save
from headrace.layout import FEATURES, REPOSITORY

RESULT = REPOSITORY / "benchmarks" / "results" / "validate.json"
AIM_S = 1.0
_LOOK_S = 0.02


class Run(Struct, frozen=True):
    """One process: wall and CPU seconds, and the highest number of concurrent children."""

    contender: str
    wall_s: float
    cpu_s: float
    children: int


class Result(Struct, frozen=True):
    """All runs, and the medians of both contenders."""

    machine: Machine
    groups: int
    aim_s: float
    runs: list[Run]
    median_wall_s: dict[str, float]
    median_cpu_s: dict[str, float]
    children: int


def measure(groups: int, *, repeats: int) -> Result:
    """Run both processes alternately."""
    machine, runs = this_machine(), list[Run]()
    with tempfile.TemporaryDirectory(prefix="headrace-validate-") as name:
        folder = Path(name)
        write_groups(folder, groups)
        headrace = str(Path(sys.executable).with_name("headrace"))
        commands = {
            "validate": [headrace, "features", "validate", str(folder)],
            "nothing": [sys.executable, "-c", "pass"],
        }
        for _ in range(repeats):
            runs += [_run(contender, command) for contender, command in commands.items()]
    by_contender = {contender: [run for run in runs if run.contender == contender] for contender in commands}
    return Result(
        machine=machine,
        groups=groups,
        aim_s=AIM_S,
        runs=runs,
        median_wall_s={
            name: round(statistics.median(run.wall_s for run in runs), 3) for name, runs in by_contender.items()
        },
        median_cpu_s={
            name: round(statistics.median(run.cpu_s for run in runs), 3) for name, runs in by_contender.items()
        },
        children=max(run.children for run in by_contender["validate"]),
    )


def write_groups(folder: Path, count: int) -> None:
    """Write renamed copies of the shipped groups, and their sources."""
    shutil.copytree(FEATURES / "sources", folder / "sources")
    shipped = itertools.cycle(sorted(FEATURES.glob("*.sql")))
    for number, path in zip(range(count), shipped, strict=False):
        text = path.read_text(encoding="utf-8")
        renamed = text.replace(f"FEATURE GROUP {path.stem} ", f"FEATURE GROUP {path.stem}_{number} ", 1)
        (folder / f"{path.stem}_{number}.sql").write_text(renamed, encoding="utf-8")


def _run(contender: str, command: list[str]) -> Run:
    """Run a command. Raises: subprocess.CalledProcessError: it failed."""
    begun, before, children = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN), 0
    process = psutil.Popen(command, stdout=subprocess.DEVNULL)
    while process.poll() is None:
        with contextlib.suppress(psutil.NoSuchProcess, psutil.TimeoutExpired):
            children = max(children, len(process.children(recursive=True)))
            process.wait(_LOOK_S)
    wall_s, after = time.monotonic() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Run(contender, round(wall_s, 3), round(cpu_s, 3), children)


def main() -> int:
    """`headrace bench validate`."""
    parser = argparse.ArgumentParser(prog="headrace bench validate", description=__doc__)
    parser.add_argument("--groups", type=int, default=50)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--output", type=Path, default=RESULT)
    chosen = parser.parse_args()
    result = run_and_save("validate", lambda: measure(chosen.groups, repeats=chosen.repeats), chosen.output)
    ours, floor = result.median_wall_s["validate"], result.median_wall_s["nothing"]
    sys.stdout.write(
        f"{result.groups} groups: {ours:.2f} s, {result.median_cpu_s['validate']:.2f} s of CPU"
        f" (an empty Python process: {floor:.2f} s); {result.children} child processes;"
        f" the aim is {result.aim_s:.0f} s\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
