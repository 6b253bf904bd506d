"""Rows that start narrow and widen with use, compared with rows of one width, on KuaiRand's clicks row by row.

A narrow row uses only the first eight numbers of its vector. After a number of sightings it gets the others, with the
values that admission would have given them, and keeps what it has learned. The benchmark stores unused numbers as
zeros, so it computes bytes instead of measuring them: the numbers in use, the table's other data of a row, and four
bytes to find the wide part.
"""

import argparse
from pathlib import Path

import numpy as np
from msgspec import Struct
from rich.console import Console
from rich.table import Table as Grid

from benchmarks.harness.machine import Machine, this_machine
from benchmarks.harness.report import run_and_save
from benchmarks.inputs.recorded_rows import Predictions, Stream, stream_of
from benchmarks.inputs.recordings import add_folder, file_in
from benchmarks.rivals import COLUMNS, FILE, FROM_SHARE, KNOWN, Scorer
from headrace.evaluation.log import parse_columns, read
from headrace.evaluation.metrics import Figure
from headrace.lang.planner.load import load_plan
from headrace.layout import FEATURES, REPOSITORY
from headrace.learner.app import make_deterministic
from headrace.learner.samples.collate import Collator
from headrace.learner.settings import LoopSettings
from headrace.models.array_types import Floats, Ids, Indexes
from headrace.models.ranker.config import RankerConfig
from headrace.models.ranker.training import Trainer
from headrace.models.tables.table import DEFAULT, Table, TableConfig

RESULT = REPOSITORY / "benchmarks" / "results" / "widths.json"
_NARROW = 8
_DIMS, _UNTIL = (16, 64), (4, 8, 32)
_OVERHEAD_BYTES = 33  # id, two accumulators, last sighting, sightings, changed


class GrowingTable(Table):
    """A table whose rows start narrow."""

    def __init__(self, config: TableConfig, *, until: int) -> None:
        super().__init__(config)
        self._until, self._cut = until, config.lead + _NARROW
        self._wide = np.zeros(100_000, np.bool_)  # more rows than the log has ids
        self._wide[DEFAULT] = True

    @property
    def bytes(self) -> int:
        """The bytes that the rows would take."""
        wide = int(self._wide[1 : len(self) + 1].sum())
        return len(self) * (4 * self._cut + _OVERHEAD_BYTES + 4) + wide * 4 * (self.config.dim - _NARROW)

    def sight(self, ids: Ids, at_ms: int) -> None:
        """Count sightings, and widen the rows of ids that have enough."""
        known = np.unique(self.find(ids))
        super().sight(ids, at_ms)
        indexes = np.unique(self.find(ids))
        fresh = np.setdiff1d(indexes, known)
        self._rows[fresh, self._cut :] = 0
        self._wide[fresh] = False
        due = indexes[~self._wide[indexes] & (self._sightings[indexes] >= self._until)]
        initial = self._rows[DEFAULT] + self._noise(self._ids[due])
        self._rows[due, self._cut :] = initial[:, self._cut :]
        self._wide[due] = True

    def learn(self, indexes: Indexes, gradients: Floats) -> None:
        """Learn the numbers in use. Unused numbers get the mean square of the used ones, which keeps the step size."""
        narrow, used = ~self._wide[indexes], gradients.copy()
        mean = np.square(used[narrow, self.config.lead : self._cut]).mean(axis=1, keepdims=True)
        used[narrow, self._cut :] = np.sqrt(mean)
        super().learn(indexes, used)
        self._rows[indexes[narrow], self._cut :] = 0


class Width(Struct, frozen=True, kw_only=True):
    """One variant.

    Attributes:
        until: sightings until a row becomes wide; None for rows of one width.
        less: difference between its log loss and that of rows of one width.
        bytes: bytes of the rows of all tables at the end.
    """

    dim: int
    until: int | None
    log_loss: Figure
    auc: Figure
    less: Figure
    bytes: int


class Result(Struct, frozen=True):
    """All results."""

    machine: Machine
    narrow: int
    widths: list[Width]


def measure(folder: Path) -> Result:
    """Measure every width and threshold."""
    machine = this_machine()
    make_deterministic()
    log = read(file_in(folder, FILE), parse_columns(COLUMNS, KNOWN), warm_share=FROM_SHARE)
    stream = stream_of(log, load_plan(FEATURES))
    return Result(machine, _NARROW, [width for dim in _DIMS for width in _of_dim(stream, dim)])


def _of_dim(stream: Stream, dim: int) -> list[Width]:
    config = RankerConfig(dim=dim)
    whole = Trainer(config, np.random.default_rng(0))
    variants = {
        None: (_predictions(stream, whole), sum(len(table) for table in whole.tables.values()) * _row_bytes(config))
    }
    for until in _UNTIL:
        trainer = Trainer(config, np.random.default_rng(0))
        grown = {name: GrowingTable(of, until=until) for name, of in config.tables().items()}
        trainer.tables = dict(grown)
        variants[until] = (_predictions(stream, trainer), sum(table.bytes for table in grown.values()))
    first = round(len(stream.rows) * FROM_SHARE)
    scorer = Scorer(stream.labels[first:], variants[None][0].chances[first:])
    found: list[Width] = []
    for until, (predictions, row_bytes) in variants.items():
        scored = scorer.best("", {"": predictions})
        auc, loss = scored.figures["auc"], scored.figures["log_loss"]
        found.append(Width(dim=dim, until=until, auc=auc, log_loss=loss, less=scored.behind, bytes=row_bytes))
    return found


def _row_bytes(config: RankerConfig) -> int:
    return 4 * config.width + _OVERHEAD_BYTES


def _predictions(stream: Stream, trainer: Trainer) -> Predictions:
    """The predictions of the learner for each batch, before it learns the batch."""
    collator, size, chances, waiting = Collator(trainer.config), LoopSettings().batch, [], []
    for start, end in zip(stream.starts, [*stream.starts[1:], len(stream.rows)], strict=True):
        waiting += stream.samples[start:end]
        if len(waiting) >= size or end == len(stream.rows):
            chances.append(trainer.learn(collator.batch(waiting, waiting[-1].known_at))[:, 0].astype(np.float64))
            waiting = []
    return Predictions(np.concatenate(chances), 1.0)


def main() -> None:
    """`headrace bench widths`."""
    parser = argparse.ArgumentParser(prog="headrace bench widths", description=__doc__)
    add_folder(parser)
    parser.add_argument("--output", type=Path, default=RESULT)
    chosen = parser.parse_args()
    result = run_and_save("widths", lambda: measure(chosen.data), chosen.output)
    grid = Grid("D", "narrow until", "AUC", "log loss", "vs one width", "KB of rows", box=None, pad_edge=False)
    for each in result.widths:
        less = f"{each.less.value:+.4f} ± {each.less.error:.4f}"
        loss = f"{each.log_loss.value:.4f}"
        grid.add_row(
            str(each.dim), str(each.until or "-"), f"{each.auc.value:.4f}", loss, less, str(each.bytes // 1000)
        )
    Console(highlight=False).print(grid)


if __name__ == "__main__":
    main()
