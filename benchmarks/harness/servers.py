"""Server processes of a benchmark: started, waited for, measured and stopped."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import psutil
from msgspec import Struct

from headrace.layout import REPOSITORY
from headrace.wait import wait_until

ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
_UP_S, _DOWN_S = 180.0, 15.0


class Server(Struct, frozen=True):
    """A running server: the port that it listens on, and its process."""

    port: int
    pid: int

    def cpu_s(self) -> float:
        """CPU seconds so far of the process and those that it started."""
        return cpu_s(self.pid)

    def pss_mb(self) -> dict[int, float]:
        """Proportional memory of each of these processes, MiB, by process id."""
        return {each.pid: each.memory_full_info().pss / 2**20 for each in _tree(self.pid)}


def cpu_s(pid: int) -> float:
    """CPU seconds so far of a process and those that it started."""
    spent = 0.0
    for process in _tree(pid):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            spent += times.user + times.system
    return spent


@contextlib.contextmanager
def running(
    command: Sequence[str], *, port: int, log: Path, is_up: Callable[[], bool], environment: Mapping[str, str]
) -> Iterator[Server]:
    """Run a server until the end of the context.

    Raises:
        EnvironmentProblem: it did not come up.
    """
    variables = {**os.environ, **ONE_THREAD, **environment}
    with log.open("wb") as file:
        process = subprocess.Popen(command, cwd=REPOSITORY, env=variables, stdout=file, stderr=file)
    try:
        wait_until(is_up, what=f"{command[0]} at {port}", deadline_s=_UP_S, hint=f"Look at {log}.")
        yield Server(port, process.pid)
    finally:
        tree = _tree(process.pid)
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_DOWN_S)
        for each in tree:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
        process.wait()


def _tree(pid: int) -> list[psutil.Process]:
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
