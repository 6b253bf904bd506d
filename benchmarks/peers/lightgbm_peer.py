"""LightGBM as a contender, refitted each hour of log time: a client of the process that runs it."""

import contextlib
import time
from bisect import bisect_left
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
from msgspec import Struct

from benchmarks.inputs.periods import DAY_MS, HOUR_MS, periods
from benchmarks.inputs.recorded_rows import Predictions, Row, Stream
from benchmarks.peers.peer import Peer, peer

_UNKNOWN = 0.5  # the chance of a click before the first fit


class Settings(Struct, frozen=True):
    """The size of a model, and the age in days up to which rows are learned."""

    trees: int
    leaves: int
    rate: float
    days: float

    @property
    def name(self) -> str:
        """The setting in words."""
        return f"{self.trees} trees of {self.leaves} leaves, rate {self.rate:g}, {self.days:g} days"


SETTINGS = (
    Settings(50, 7, 0.1, 30),
    Settings(50, 15, 0.1, 30),
    Settings(100, 7, 0.05, 30),
    Settings(100, 15, 0.05, 30),
    Settings(50, 15, 0.1, 3),
)


class LightGbm:
    """A LightGBM process with the rows of a stream."""

    def __init__(self, process: Peer, stream: Stream) -> None:
        self._process = process
        self._at_ms = [sample.served_at for sample in stream.samples]
        self.version: str = msgspec.json.decode(process.line(), type=str)

    def run(self, inputs: str, *, settings: Settings) -> Predictions:
        """One pass, `raw` or `dense`: each hour is predicted by a new model of the rows before it."""
        begun, chances = time.perf_counter(), list[float]()
        for start, end in periods(self._at_ms, HOUR_MS):
            first = bisect_left(self._at_ms, self._at_ms[start] - settings.days * DAY_MS, hi=start)
            chances += self._hour(inputs, settings, first=first, start=start, end=end)
        return Predictions(np.array(chances), time.perf_counter() - begun)

    def _hour(self, inputs: str, settings: Settings, *, first: int, start: int, end: int) -> list[float]:
        if first == start:
            return [_UNKNOWN] * (end - start)
        self._process.ask(f"fit {inputs} {settings.trees} {settings.leaves} {settings.rate} {first} {start}")
        return msgspec.json.decode(self._process.ask(f"predict {start} {end}"), type=list[float])


@contextlib.contextmanager
def lightgbm(stream: Stream, folder: Path) -> Iterator[LightGbm]:
    """Start LightGBM for a stream; `folder` is for exchanged files."""
    columns = {name: [getattr(row, name) for row in stream.rows] for name in Row.__struct_fields__}
    (folder / "rows.json").write_bytes(msgspec.json.encode(columns))
    with peer("lightgbm", "lightgbm_loop.py", str(folder)) as process:
        yield LightGbm(process, stream)
