"""What rows that begin narrow would give: KuaiRand's clicks row by row, each width beside rows of one width.

A narrow row has the first eight numbers of its vector in use. At so many sightings it gets the others, where admission
would have begun them; what it learnt stays. The trial keeps the others as zeros, so bytes are counted, not measured:
numbers in use, what a table keeps beside them, and four bytes more to find the wide part by.
"""

import argparse
from pathlib import Path

import numpy as np
from msgspec import Struct
from rich.console import Console
from rich.table import Table as Grid

from benchmarks.harness.machine import Machine, this_machine
from benchmarks.harness.report import carry_out
from benchmarks.inputs.recorded_rows import Stream, Told, stream_of
from benchmarks.inputs.recordings import add_folder, file_in
from benchmarks.rivals import COLUMNS, FILE, FROM_SHARE, KNOWN, Scorer
from headrace.evaluation.log import columns_of, read
from headrace.evaluation.metrics import Figure
from headrace.layout import FEATURES, REPOSITORY
from lang.planner.load import load_plan
from learner.app import make_deterministic
from learner.collate import Collator
from learner.settings import LoopSettings
from models.array_types import Floats, Ids, Indexes
from models.config import RankerConfig
from models.table import DEFAULT, Table, TableConfig
from models.training import Trainer

RESULT = REPOSITORY / "benchmarks" / "results" / "widths.json"
_NARROW = 8
_DIMS, _UNTIL = (16, 64), (4, 8, 32)
_BESIDE_BYTES = 33  # id, two accumulators, last sighting, sightings, changed


class Growing(Table):
    """A table whose rows begin narrow."""

    def __init__(self, config: TableConfig, *, until: int) -> None:
        super().__init__(config)
        self._until, self._cut = until, config.lead + _NARROW
        self._wide = np.zeros(100_000, np.bool_)  # more rows than the log has ids
        self._wide[DEFAULT] = True

    @property
    def bytes(self) -> int:
        """What the rows would take."""
        wide = int(self._wide[1 : len(self) + 1].sum())
        return len(self) * (4 * self._cut + _BESIDE_BYTES + 4) + wide * 4 * (self.config.dim - _NARROW)

    def sight(self, ids: Ids, at_ms: int) -> None:
        """Count sightings, and widen the rows of ids that now have enough."""
        known = np.unique(self.find(ids))
        super().sight(ids, at_ms)
        places = np.unique(self.find(ids))
        fresh = np.setdiff1d(places, known)
        self._rows[fresh, self._cut :] = 0
        self._wide[fresh] = False
        ripe = places[~self._wide[places] & (self._sightings[places] >= self._until)]
        begun = self._rows[DEFAULT] + self._noise(self._ids[ripe])
        self._rows[ripe, self._cut :] = begun[:, self._cut :]
        self._wide[ripe] = True

    def learn(self, places: Indexes, gradients: Floats) -> None:
        """Learn the numbers in use: the others bring their mean square, so that the step is as if they were not."""
        narrow, used = ~self._wide[places], gradients.copy()
        mean = np.square(used[narrow, self.config.lead : self._cut]).mean(axis=1, keepdims=True)
        used[narrow, self._cut :] = np.sqrt(mean)
        super().learn(places, used)
        self._rows[places[narrow], self._cut :] = 0


class Width(Struct, frozen=True, kw_only=True):
    """One way. `less`: its log loss less that of rows of one width; `bytes` of all tables' rows at the end."""

    dim: int
    until: int | None
    log_loss: Figure
    auc: Figure
    less: Figure
    bytes: int


class Result(Struct, frozen=True):
    """All that was measured."""

    machine: Machine
    narrow: int
    widths: list[Width]


def measure(folder: Path) -> Result:
    """Every width and threshold."""
    machine = this_machine()
    make_deterministic()
    log = read(file_in(folder, FILE), columns_of(COLUMNS, KNOWN), warm_share=FROM_SHARE)
    stream = stream_of(log, load_plan(FEATURES))
    return Result(machine, _NARROW, [width for dim in _DIMS for width in _of_dim(stream, dim)])


def _of_dim(stream: Stream, dim: int) -> list[Width]:
    config = RankerConfig(dim=dim)
    whole = Trainer(config, np.random.default_rng(0))
    ways = {None: (_told(stream, whole), sum(len(table) for table in whole.tables.values()) * _row_bytes(config))}
    for until in _UNTIL:
        trainer = Trainer(config, np.random.default_rng(0))
        grown = {name: Growing(of, until=until) for name, of in config.tables().items()}
        trainer.tables = dict(grown)
        ways[until] = (_told(stream, trainer), sum(table.bytes for table in grown.values()))
    first = round(len(stream.rows) * FROM_SHARE)
    scorer = Scorer(stream.labels[first:], ways[None][0].chances[first:])
    found: list[Width] = []
    for until, (told, held_bytes) in ways.items():
        scored = scorer.best("", {"": told})
        auc, loss = scored.figures["auc"], scored.figures["log_loss"]
        found.append(Width(dim=dim, until=until, auc=auc, log_loss=loss, less=scored.behind, bytes=held_bytes))
    return found


def _row_bytes(config: RankerConfig) -> int:
    return 4 * config.width + _BESIDE_BYTES


def _told(stream: Stream, trainer: Trainer) -> Told:
    """Chances as the learner's batches tell them, before they learn."""
    collator, size, told, waiting = Collator(trainer.config.history), LoopSettings().batch, [], []
    for start, end in zip(stream.starts, [*stream.starts[1:], len(stream.rows)], strict=True):
        waiting += stream.samples[start:end]
        if len(waiting) >= size or end == len(stream.rows):
            told.append(trainer.learn(collator.batch(waiting, waiting[-1].known_at))[:, 0].astype(np.float64))
            waiting = []
    return Told(np.concatenate(told), 1.0)


def main() -> None:
    """`headrace bench widths`."""
    parser = argparse.ArgumentParser(prog="headrace bench widths", description=__doc__)
    add_folder(parser)
    parser.add_argument("--output", type=Path, default=RESULT)
    chosen = parser.parse_args()
    result = carry_out("widths", lambda: measure(chosen.data), chosen.output)
    grid = Grid("D", "narrow until", "AUC", "log loss", "less one width", "KB of rows", box=None, pad_edge=False)
    for each in result.widths:
        less = f"{each.less.value:+.4f} ± {each.less.error:.4f}"
        loss = f"{each.log_loss.value:.4f}"
        grid.add_row(
            str(each.dim), str(each.until or "-"), f"{each.auc.value:.4f}", loss, less, str(each.bytes // 1000)
        )
    Console(highlight=False).print(grid)


if __name__ == "__main__":
    main()
