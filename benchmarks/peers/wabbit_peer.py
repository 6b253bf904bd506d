"""Vowpal Wabbit as a contender: what it is given and what it is asked."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np

from benchmarks.inputs.recorded_rows import Row, Stream, Told
from benchmarks.peers.peer import Peer, peer

RATES = (0.1, 0.25, 0.5, 1.0, 2.0)


class Wabbit:
    """A Vowpal Wabbit that has the rows of a stream."""

    def __init__(self, process: Peer, folder: Path) -> None:
        self._process, self._folder = process, folder
        self.version = process.line().strip()

    def run(self, inputs: str, *, rate: float) -> Told:
        """One pass of a fresh model, `raw` or `dense`."""
        seconds = float(self._process.ask(f"tell {inputs} {rate}"))
        chances = msgspec.json.decode((self._folder / "told.json").read_bytes(), type=list[float])
        return Told(np.array(chances), seconds)

    def learn_ms(self, manner: str, count: int) -> float:
        """What it takes to learn the last so many rows from `numbers`, `text` or `examples`."""
        return float(self._process.ask(f"learn {manner} {count}"))


@contextlib.contextmanager
def wabbit(stream: Stream, folder: Path) -> Iterator[Wabbit]:
    """A Vowpal Wabbit for this stream, with a folder to pass files in."""
    columns: dict[str, object] = {name: [getattr(row, name) for row in stream.rows] for name in Row.__struct_fields__}
    (folder / "rows.json").write_bytes(msgspec.json.encode({**columns, "starts": stream.starts}))
    with peer("wabbit", "wabbit_loop.py", str(folder)) as process:
        yield Wabbit(process, folder)
