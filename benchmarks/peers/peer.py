"""A peer in an environment of its own: made once from a lock in benchmarks/, then talked to by lines."""

import contextlib
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
    """A process that answers lines."""

    def __init__(self, name: str, ask: IO[str], answers: IO[str]) -> None:
        self._name, self._ask, self._answers = name, ask, answers

    def ask(self, line: str) -> str:
        """Its answer to a line."""
        self._ask.write(line + "\n")
        self._ask.flush()
        return self.line()

    def line(self) -> str:
        """The next line that it says.

        Raises:
            EnvironmentProblem: it has ended.
        """
        line = self._answers.readline()
        if not line:
            message = f"the process of {self._name} ended before it answered; what it said stands above"
            raise EnvironmentProblem(message)
        return line


@contextlib.contextmanager
def peer(name: str, script: str, *arguments: str) -> Iterator[Peer]:
    """A script of this folder in the environment of `NAME.lock`."""
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
    """The interpreter of an environment, which is named by its lock's hash."""
    lock = HERE / f"{name}.lock"
    home = REPOSITORY / ".headrace" / f"{name}-{hashlib.sha256(lock.read_bytes()).hexdigest()[:12]}"
    python, ready = home / "bin" / "python", home / ".ready"
    if not ready.exists():
        subprocess.run([_UV, "venv", "--quiet", "--clear", "--python", sys.executable, home], check=True)
        sync = ["pip", "sync", "--quiet", "--require-hashes", "--python", python, lock]
        subprocess.run([_UV, *sync], check=True)
        ready.touch()
    return python
