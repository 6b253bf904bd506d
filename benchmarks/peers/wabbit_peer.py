"""Vowpal Wabbit as a contender: a client of the process that runs it."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np

from benchmarks.inputs.recorded_rows import Predictions, Row, Stream
from benchmarks.peers.peer import Peer, peer

RATES = (0.1, 0.25, 0.5, 1.0, 2.0)


class Wabbit:
    """A Vowpal Wabbit process with the rows of a stream."""

    def __init__(self, process: Peer, folder: Path) -> None:
        self._process, self._folder = process, folder
        self.version = process.line().strip()

    def run(self, inputs: str, *, rate: float) -> Predictions:
        """One pass of a new model, `raw` or `dense`."""
        took_s = float(self._process.ask(f"predict {inputs} {rate}"))
        chances = msgspec.json.decode((self._folder / "chances.json").read_bytes(), type=list[float])
        return Predictions(np.array(chances), took_s)

    def learn_ms(self, manner: str, count: int) -> float:
        """Milliseconds to learn the last `count` rows from `numbers`, `text` or `examples`."""
        return float(self._process.ask(f"learn {manner} {count}"))


@contextlib.contextmanager
def wabbit(stream: Stream, folder: Path) -> Iterator[Wabbit]:
    """Start Vowpal Wabbit for a stream; `folder` is for exchanged files."""
    columns: dict[str, object] = {name: [getattr(row, name) for row in stream.rows] for name in Row.__struct_fields__}
    (folder / "rows.json").write_bytes(msgspec.json.encode({**columns, "starts": stream.starts}))
    with peer("wabbit", "wabbit_loop.py", str(folder)) as process:
        yield Wabbit(process, folder)
