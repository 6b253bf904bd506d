"""The folder in which workers keep their metrics, so that each can report the sum of all. It loads no metrics."""

import os
import shutil
from pathlib import Path

import psutil

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""`prometheus_client` reads it when it is imported, so it must be set before the workers start."""


def prepare(folder: Path) -> None:
    """Empty the folder, and have the processes that start from now on use it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    os.environ[VARIABLE] = str(folder)


def forget_dead() -> None:
    """Remove the states of workers that have died, such as an open circuit; what they counted is kept."""
    for path in Path(os.environ[VARIABLE]).glob("gauge_live*_*.db"):
        if not psutil.pid_exists(int(path.stem.rpartition("_")[2])):
            path.unlink(missing_ok=True)
