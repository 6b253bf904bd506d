"""A peer process in its own environment, built once from a lock in this folder, with a line protocol."""

import contextlib
import fcntl
import hashlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from headrace.errors import EnvironmentProblem
from headrace.layout import REPOSITORY

HERE = Path(__file__).parent
_UV = Path(sys.executable).parent / "uv"


class Peer:
    """A process that answers each line with a line."""

    def __init__(self, name: str, ask: IO[str], answers: IO[str]) -> None:
        self._name, self._ask, self._answers = name, ask, answers

    def ask(self, line: str) -> str:
        """Send a line; returns the answer."""
        self._ask.write(line + "\n")
        self._ask.flush()
        return self.line()

    def line(self) -> str:
        """The next line of its output.

        Raises:
            EnvironmentProblem: the process has ended.
        """
        line = self._answers.readline()
        if not line:
            message = f"the process of {self._name} ended before it answered; see its output above"
            raise EnvironmentProblem(message)
        return line


@contextlib.contextmanager
def peer(name: str, script: str, *arguments: str) -> Iterator[Peer]:
    """Run a script of this folder in the environment of `NAME.lock`."""
    command = [str(_python(name)), str(HERE / script), *arguments]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    if process.stdin is None or process.stdout is None:
        message = "a process was started without its pipes"
        raise TypeError(message)
    try:
        yield Peer(name, process.stdin, process.stdout)
    finally:
        process.stdin.close()
        process.wait(30)
        process.stdout.close()


def _python(name: str) -> Path:
    """The interpreter of an environment, built on first use; the hash of its lock names it."""
    lock = HERE / f"{name}.lock"
    home = REPOSITORY / ".headrace" / f"{name}-{hashlib.sha256(lock.read_bytes()).hexdigest()[:12]}"
    python, ready = home / "bin" / "python", home / ".ready"
    home.parent.mkdir(exist_ok=True)
    with home.with_suffix(".building").open("w") as building:
        fcntl.flock(building, fcntl.LOCK_EX)  # tests in several processes need it at once
        if not ready.exists():
            subprocess.run([_UV, "venv", "--quiet", "--clear", "--python", sys.executable, home], check=True)
            sync = ["pip", "sync", "--quiet", "--require-hashes", "--python", python, lock]
            subprocess.run([_UV, *sync], check=True)
            ready.touch()
    return python
