"""The folder in which workers keep their metrics, so that each can report the sum of all. It loads no metrics."""

import os
import shutil
from pathlib import Path

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""`prometheus_client` reads it when it is imported, so it must be set before the workers start."""


def prepare(folder: Path) -> None:
    """Empty the folder, and have the processes that start from now on use it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    os.environ[VARIABLE] = str(folder)
