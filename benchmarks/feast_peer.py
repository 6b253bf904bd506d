"""Feast as a contender: its environment, made once from benchmarks/feast.lock, and its process."""

import contextlib
import hashlib
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

import msgspec

from headrace.errors import EnvironmentProblem
from headrace.layout import REPOSITORY

DATABASE = 1
"""Where Feast keeps its values, as `feast_reader.py` says."""
_HERE = Path(__file__).parent
_LOCK = _HERE / "feast.lock"
_UV = Path(sys.executable).parent / "uv"


class Peer:
    """A Feast that holds what it was told."""

    def __init__(self, ask: IO[str], answers: IO[str]) -> None:
        self._ask, self._answers = ask, answers
        self.first = msgspec.json.decode(self._line(), type=dict[str, float])
        """What it reads of the first entity."""

    def read_ms(self, manner: str, entities: int) -> float:
        """What a read of the first so many entities takes, ending in `proto` or `dict`."""
        self._ask.write(f"{manner} {entities}\n")
        self._ask.flush()
        return float(self._line())

    def _line(self) -> str:
        line = self._answers.readline()
        if not line:
            message = "Feast's process ended before it answered; what it said stands above"
            raise EnvironmentProblem(message)
        return line


@contextlib.contextmanager
def feast(port: int, folder: Path, *, names: list[str], columns: Mapping[str, list[float]]) -> Iterator[Peer]:
    """A Feast on the Redis at `port` that holds these values, a column a feature."""
    told = folder / "values.json"
    told.write_bytes(msgspec.json.encode({"names": names, "columns": columns}))
    command = [str(_python()), str(_HERE / "feast_reader.py"), str(port), str(told)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    if process.stdin is None or process.stdout is None:
        message = "a process was started without its pipes"
        raise TypeError(message)
    try:
        yield Peer(process.stdin, process.stdout)
    finally:
        process.stdin.close()
        process.wait(30)
        process.stdout.close()


def _python() -> Path:
    """The interpreter of Feast's environment, which is named by its lock's hash."""
    home = REPOSITORY / ".headrace" / f"feast-{hashlib.sha256(_LOCK.read_bytes()).hexdigest()[:12]}"
    python, ready = home / "bin" / "python", home / ".ready"
    if not ready.exists():
        subprocess.run([_UV, "venv", "--quiet", "--clear", "--python", sys.executable, home], check=True)
        sync = ["pip", "sync", "--quiet", "--require-hashes", "--python", python, _LOCK]
        subprocess.run([_UV, *sync], check=True)
        ready.touch()
    return python
