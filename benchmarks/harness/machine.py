"""The machine, commit and package versions that a figure was measured on."""

import os
import platform
import subprocess
from importlib.metadata import version

import psutil
from msgspec import Struct

from headrace.layout import REPOSITORY

_PACKAGES = ("apache-flink", "confluent-kafka", "kafka-python", "redis", "hiredis", "msgspec", "numpy")


class Machine(Struct, frozen=True):
    """The machine of a run; `load` is its load average over the minute before the run."""

    cores: int
    memory_gb: float
    system: str
    python: str
    load: float
    commit: str
    changed: bool
    versions: dict[str, str]


def this_machine() -> Machine:
    """Describe this machine and this checkout."""
    return Machine(
        cores=os.cpu_count() or 0,
        memory_gb=round(psutil.virtual_memory().total / 2**30, 1),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        python=platform.python_version(),
        load=round(os.getloadavg()[0], 2),
        commit=_git("rev-parse", "HEAD"),
        changed=bool(_git("status", "--porcelain")),
        versions={name: version(name) for name in _PACKAGES},
    )


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    return done.stdout.strip()
