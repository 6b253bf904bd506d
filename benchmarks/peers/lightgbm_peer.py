"""LightGBM as a contender, refitted each hour of log time: a client of the process that runs it."""

import contextlib
import time
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
import numpy as np
from msgspec import Struct

from benchmarks.inputs.periods import DAY_MS, HOUR_MS, periods
from benchmarks.inputs.recorded_rows import Predictions, Row, Stream
from benchmarks.peers.peer import Peer, peer

_UNKNOWN = 0.5  # the chance of a click before the first fit


class Settings(Struct, frozen=True):
    """How to fit a model.

    Attributes:
        trees: number of trees, each with at most `leaves` leaves.
        rate: learning rate.
        days: age up to which rows are learned.
        share: share of the columns that each tree may use.
        least: least number of rows in a leaf.
        smooth: LightGBM's `cat_smooth` and `cat_l2`, against rare ids.
    """

    trees: int
    leaves: int
    rate: float
    days: float = 30
    share: float = 0.3
    least: int = 60
    smooth: float = 30

    @property
    def name(self) -> str:
        """The setting in words."""
        return f"{self.trees} trees of {self.leaves} leaves, rate {self.rate:g}, {self.days:g} days"


# The four ids need every column and little smoothing; with the dense inputs it is the other way round.
_RAW = ((50, 7, 0.1), (100, 7, 0.05), (100, 15, 0.05), (60, 15, 0.08), (100, 31, 0.05))
SETTINGS: Mapping[str, tuple[Settings, ...]] = {
    "raw": tuple(Settings(*each, share=1, least=20, smooth=1) for each in _RAW),
    "dense": (
        Settings(100, 15, 0.05),
        Settings(100, 7, 0.05),
        Settings(100, 31, 0.05),
        Settings(100, 15, 0.08),
        Settings(100, 15, 0.05, days=7),
    ),
}


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
        size = f"{settings.trees} {settings.leaves} {settings.rate}"
        limits = f"{settings.share} {settings.least} {settings.smooth}"
        self._process.ask(f"fit {inputs} {size} {limits} {first} {start}")
        return msgspec.json.decode(self._process.ask(f"predict {start} {end}"), type=list[float])


@contextlib.contextmanager
def lightgbm(stream: Stream, folder: Path) -> Iterator[LightGbm]:
    """Start LightGBM for a stream; `folder` is for exchanged files."""
    columns = {name: [getattr(row, name) for row in stream.rows] for name in Row.__struct_fields__}
    (folder / "rows.json").write_bytes(msgspec.json.encode(columns))
    with peer("lightgbm", "lightgbm_loop.py", str(folder)) as process:
        yield LightGbm(process, stream)
