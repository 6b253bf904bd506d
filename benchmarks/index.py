"""Twenty minutes of a catalogue whose items change and whose model learns: recall and time of the index that follows.

The items are those of `inputs.moving_items`. Each simulated minute applies a new model, changes a share of the items,
replaces a few, and builds another base if the feeder would; nothing waits for a clock. Recall@100 is measured against
exact search of the same vectors, for users of the log. Searches run on one thread, with and without a rebuild in
another process. Exact search, an IVF and an HNSW index of the first minute's vectors are timed next to it.
"""

import argparse
import tempfile
from pathlib import Path

import faiss
import numpy as np
from msgspec import Struct
from rich.console import Console
from rich.table import Table

from benchmarks.harness.machine import Machine, this_machine
from benchmarks.harness.report import run_and_save
from benchmarks.inputs.moving_items import LearnedLog, MovingItems
from benchmarks.inputs.recordings import add_folder
from benchmarks.studies.index_churn import REPLACED, ROWS_A_MINUTE, Aged, Minute, age, follow
from benchmarks.studies.index_kinds import Alone, Crossing, compare_kinds, cross
from benchmarks.studies.lagged import COLUMNS, ITEM_COLUMNS, recording_in
from headrace.evaluation import items
from headrace.evaluation.log import parse_columns, read
from headrace.layout import REPOSITORY
from headrace.models.ranker.config import RankerConfig
from headrace.models.ranker.state import ModelState
from headrace.replay.recordings import Recording

RESULT = REPOSITORY / "benchmarks" / "results" / "index.json"
_CONFIG = RankerConfig(dim=32, vector=64)
_AGES, _AGED_CHANGED = (1, 5, 10), 0.05
_WIDTHS = (RankerConfig(), RankerConfig(dim=32, vector=64))
_AIM_RECALL, _AIM_MS = 0.97, 2.0
console = Console(stderr=True, highlight=False)


class Churn(Struct, frozen=True, kw_only=True):
    """All minutes of one size and share of changed items, and the worst of them; times in ms."""

    rows: int
    changed: float
    least_recall: float
    idle_p50: float
    idle_p99: float
    idle_cpu_p99: float
    rebuilding_p50: float | None
    rebuilding_p99: float | None
    rebuilding_cpu_p99: float | None
    rebuilds: int
    rebuild_s: float | None
    minutes: list[Minute]


class Result(Struct, frozen=True, kw_only=True):
    """All results. `alone`: by kind, by rows; `aged`: a base of the smallest size that is not rebuilt."""

    machine: Machine
    faiss: str
    width: int
    samples_a_minute: int
    replaced: float
    churn: list[Churn]
    aged: list[Aged]
    crossings: list[Crossing]
    alone: dict[str, dict[str, Alone]]


def measure(recording: Recording, *, sizes: list[int], shares: list[float], minutes: int) -> Result:
    """Measure every size with every share of changes, each from the same first model."""
    machine = this_machine()
    faiss.omp_set_num_threads(1)
    churn: list[Churn] = []
    alone: dict[str, dict[str, Alone]] = {}
    for rows in sizes:
        for changed in shares:
            log, model = _learned(recording)
            world = MovingItems(log, model, count=rows, seed=0)
            if str(rows) not in alone:
                alone[str(rows)] = compare_kinds(world)
            with tempfile.TemporaryDirectory() as folder:
                found = [*follow(log, world, changed=changed, minutes=minutes, folder=Path(folder))]
            churn.append(_summed(rows, changed, found))
            console.print(f"{rows} rows, {changed:.0%} a minute: least recall {churn[-1].least_recall}")
    return Result(
        machine=machine,
        faiss=faiss.__version__,
        width=_CONFIG.vector,
        samples_a_minute=ROWS_A_MINUTE,
        replaced=REPLACED,
        churn=churn,
        aged=[_aged(recording, rows=min(sizes), minutes=minutes) for minutes in _AGES],
        crossings=[each for config in _WIDTHS for each in cross(*_learned(recording, config))],
        alone=alone,
    )


def _learned(recording: Recording, config: RankerConfig = _CONFIG) -> tuple[LearnedLog, ModelState]:
    """A model that has learned the log once."""
    log = LearnedLog(recording, config)
    return log, log.learn(len(log.items))


def _aged(recording: Recording, *, rows: int, minutes: int) -> Aged:
    log, model = _learned(recording)
    return age(log, MovingItems(log, model, count=rows, seed=0), changed=_AGED_CHANGED, minutes=minutes)


def _summed(rows: int, changed: float, minutes: list[Minute]) -> Churn:
    rebuilds = [minute.rebuild for minute in minutes if minute.rebuild]
    return Churn(
        rows=rows,
        changed=changed,
        least_recall=min([minute.recall for minute in minutes] + [each.recall for each in rebuilds]),
        idle_p50=float(np.median([minute.idle.p50 for minute in minutes])),
        idle_p99=max(minute.idle.p99 for minute in minutes),
        idle_cpu_p99=max(minute.idle.cpu_p99 for minute in minutes),
        rebuilding_p50=float(np.median([each.meanwhile.p50 for each in rebuilds])) if rebuilds else None,
        rebuilding_p99=max([each.meanwhile.p99 for each in rebuilds], default=None),
        rebuilding_cpu_p99=max([each.meanwhile.cpu_p99 for each in rebuilds], default=None),
        rebuilds=len(rebuilds),
        rebuild_s=max([each.seconds for each in rebuilds], default=None),
        minutes=minutes,
    )


def show(result: Result) -> None:
    """Print a row per size and share, then a row per kind."""
    churn = Table(
        "rows",
        "changed",
        "least recall",
        "idle p50",
        "p99",
        "CPU",
        "rebuilding p50",
        "p99",
        "CPU",
        "rebuilds",
        "s each",
    )
    for each in result.churn:
        times = (
            *(each.idle_p50, each.idle_p99, each.idle_cpu_p99),
            *(each.rebuilding_p50, each.rebuilding_p99, each.rebuilding_cpu_p99),
        )
        cells = (each.least_recall, *times, each.rebuilds, each.rebuild_s)
        churn.add_row(str(each.rows), f"{each.changed:.0%}", *map(str, cells))
    alone = Table("rows", "index", "build s", "MB", "recall", "p50", "p99")
    for rows, kinds in result.alone.items():
        for name, each in kinds.items():
            cells = (each.build_s, each.megabytes, each.recall, each.times.p50, each.times.p99)
            alone.add_row(rows, name, *map(str, cells))
    crossings = Table("rows", "width", "exact p50", "p99", "base p50", "p99")
    for each in result.crossings:
        cells = (each.exact.p50, each.exact.p99, each.base.p50, each.base.p99)
        crossings.add_row(str(each.rows), str(each.width), *map(str, cells))
    aged = Table("minutes", "distance", "residual", *(str(each.moved) for each in result.aged[0].thresholds))
    for each in result.aged:
        cells = [f"{some.delta:.1%} {some.recall}" for some in each.thresholds]
        aged.add_row(str(each.minutes), str(each.distance), str(each.residual), *cells)
    console.print(churn, alone, crossings, aged)


def main() -> int:
    """`headrace bench index`; returns 1 if a minute misses the aim of recall or time."""
    parser = argparse.ArgumentParser(prog="headrace bench index", description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument(
        "--changed", type=float, nargs="+", default=[0.01, 0.05], help="share of the items, each minute"
    )
    parser.add_argument("--minutes", type=int, default=20)
    parser.add_argument("--output", type=Path, default=RESULT)
    add_folder(parser)
    chosen = parser.parse_args()
    files = recording_in(chosen.data)
    details = items.read(files.movies, items.parse_columns(ITEM_COLUMNS))
    log = read(files.ratings, parse_columns(COLUMNS, ()), warm_share=0.5, details=details)
    sizes = {"sizes": chosen.rows, "shares": chosen.changed, "minutes": chosen.minutes}
    result = run_and_save("index", lambda: measure(log.recording, **sizes), chosen.output)
    show(result)
    return int(
        any(
            each.least_recall < _AIM_RECALL or max(each.idle_p99, each.rebuilding_p99 or 0) > _AIM_MS
            for each in result.churn
        )
    )


if __name__ == "__main__":
    raise SystemExit(main())
