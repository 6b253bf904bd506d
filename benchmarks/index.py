"""Twenty minutes of a catalogue whose items change and whose model learns: recall and time of the index that follows.

The items are those of `inputs.moving_items`. Each simulated minute applies a new model, changes a share of the items,
replaces a few, and lets the index decide whether to build another base, as the feeder does (`serving/shared`); nothing
waits for a clock. Recall@100 is measured against exact search of the same vectors, for users of the log with their
histories there, before and after a rebuild. Searches are timed on one thread, some of them while a rebuild runs in
another process at low priority. Exact search, an IVF and an HNSW index of the first minute are timed next to it.
"""

import argparse
import gc
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
from benchmarks.studies.lagged import COLUMNS, ITEM_COLUMNS, recording_in
from headrace.evaluation import items
from headrace.evaluation.log import parse_columns, read
from headrace.layout import REPOSITORY
from headrace.replay.recordings import Recording
from models.array_types import Floats, Ids
from models.config import RankerConfig
from models.index.base import build_base
from models.index.exact import NumpyIndex
from models.index.layered import NEAREST, LayeredBuilder, LayeredIndex
from models.index.protocol import Index
from models.index.recall import calibrated, recall_of
from serving.shared.base_file import write_lists
from serving.shared.index_rebuilds import reason_to_rebuild

RESULT = REPOSITORY / "benchmarks" / "results" / "index.json"
_CONFIG = RankerConfig(dim=32, vector=64)
_ROWS_A_MINUTE = 5_000  # samples learned
_REPLACED = 0.002  # of the items, each minute
_CALIBRATED, _MEASURED, _TIMED = 32, 100, 1_000  # users
_HNSW = {"neighbours": 16, "construction": 100, "search": 200}
_AIM_RECALL, _AIM_MS = 0.97, 2.0
console = Console(stderr=True, highlight=False)


class Times(Struct, frozen=True):
    """Milliseconds of a search."""

    p50: float
    p99: float


class Minute(Struct, frozen=True, kw_only=True):
    """One minute.

    Attributes:
        recall: of the index as the minute's version finds it.
        delta, tombstones: its rows.
        reason: why another base was built, empty if none was.
        rebuilt_recall: after that.
        idle, rebuilding: times of searches while no rebuild runs, and while one does.
    """

    recall: float
    delta: int
    tombstones: int
    idle: Times
    reason: str = ""
    rebuilt_recall: float | None = None
    rebuilding: Times | None = None


class Churn(Struct, frozen=True, kw_only=True):
    """All minutes of one size and share of changed items, and the worst of them."""

    rows: int
    changed: float
    least_recall: float
    most_p99_idle_ms: float
    most_p99_rebuilding_ms: float
    rebuilds: int
    layer_s: float
    rebuild_s: float
    probes: int
    minutes: list[Minute]


class Alone(Struct, frozen=True, kw_only=True):
    """An index of one kind of the first minute's vectors, without any change. `megabytes`: its file's."""

    build_s: float
    megabytes: float
    recall: float
    times: Times


class Result(Struct, frozen=True, kw_only=True):
    """All results. `alone`: by rows and kind."""

    machine: Machine
    width: int
    minutes: int
    samples_a_minute: int
    replaced: float
    churn: list[Churn]
    alone: dict[str, dict[str, Alone]]


def measure(recording: Recording, *, sizes: list[int], shares: list[float], minutes: int) -> Result:
    """Measure every size with every share of changes, each from the same first model."""
    machine = this_machine()
    faiss.omp_set_num_threads(1)
    churn: list[Churn] = []
    alone: dict[str, dict[str, Alone]] = {}
    for rows in sizes:
        for changed in shares:
            log = LearnedLog(recording, _CONFIG)
            world = MovingItems(log, log.learn(len(log.items)), count=rows, seed=0)
            if str(rows) not in alone:
                alone[str(rows)] = _alone(world)
            churn.append(_churn(log, world, changed=changed, minutes=minutes))
            console.print(f"{rows} rows, {changed:.0%} a minute: least recall {churn[-1].least_recall}")
    return Result(
        machine=machine,
        width=_CONFIG.vector,
        minutes=minutes,
        samples_a_minute=_ROWS_A_MINUTE,
        replaced=_REPLACED,
        churn=churn,
        alone=alone,
    )


def _churn(log: LearnedLog, world: MovingItems, *, changed: float, minutes: int) -> Churn:
    builder, found, took = LayeredBuilder(), list[Minute](), list[float]()
    layers: list[float] = []
    rows, recall, age_s = len(world.ids), 1.0, 0.0
    builder.base = calibrated(build_base(world.ids, world.vectors()), world.users(_CALIBRATED))
    for _ in range(minutes):
        world.follow(log.learn(_ROWS_A_MINUTE), changed=changed, replaced=_REPLACED)
        vectors = world.vectors()
        begun = time.perf_counter()
        index = builder(world.ids, vectors)
        layers.append(time.perf_counter() - begun)
        minute = _minute(index, world)
        age_s += 60
        reason = reason_to_rebuild(index, recall=minute.recall, age_s=age_s)
        if reason:
            ...
        found.append(minute)
    raise NotImplementedError
