"""Ten million events of a month, imported from Parquet into an empty pipeline and killed once; then random reads.

Two thirds of the 200 reads are of users, the others of items, at random times of the hour after the month. The oracle
computes each from the events of the files. Windows reach back up to thirty days, so they are right only if all of the
month has arrived, once.
"""

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Struct
from numpy.random import Generator
from numpy.typing import NDArray
from pyarrow import parquet
from rich.console import Console

from benchmarks.harness import against_oracle
from benchmarks.harness.machine import Machine, this_machine
from benchmarks.harness.pipeline import RunningPipeline, running_pipeline, shipped_plan
from benchmarks.harness.report import run_and_save
from headrace.errors import EnvironmentProblem
from headrace.lang.executors.oracle import Oracle
from headrace.lang.expressions.per_event import Event
from headrace.lang.plan.plan import Group
from headrace.layout import FEATURES, PROJECT_FILE, PROJECT_VARIABLE, REPOSITORY, STATE_VARIABLE
from headrace.schemas.times import now_ms
from headrace.schemas.topics import EVENTS_CLEAN
from headrace.stack.flink import OPTIONS_FILE
from headrace.store.kafka.log import bounds

RESULT = REPOSITORY / "benchmarks" / "results" / "import_history.json"
GROUPS = ("user_recent", "user_category", "item_engagement")
READS, CATEGORIES = 200, 8
_MONTH_MS, _HOUR_MS = 30 * 86_400_000, 3_600_000
_FILE_ROWS = 2_500_000
_TYPES, _SHARES = ("impression", "click", "dwell", "skip", "purchase"), (0.55, 0.2, 0.15, 0.08, 0.02)
_FLINK = """\
state.backend.type: rocksdb
execution.checkpointing.incremental: true
state.backend.rocksdb.compaction.style: UNIVERSAL
taskmanager.memory.process.size: 3g
taskmanager.memory.managed.size: 1536m
taskmanager.numberOfTaskSlots: 3
"""
_COUNTED = ("click", "skip", "purchase")  # by user_category
_EXTRA: Event = {"received_at": None, "session_id": None, "request_id": None, "position": None, "context": None}
Ints: TypeAlias = NDArray[np.int64]
console = Console(stderr=True)


class Result(Struct, frozen=True):
    """Seconds and rates of the import, and the reads; `clean`: records of the clean topic."""

    machine: Machine
    events: int
    seconds: float
    events_per_s: float
    killed_at_s: float
    clean: int
    reads: int
    values: int
    mismatches: list[str]


class History(Struct, frozen=True):
    """The month's events as columns, in order of time."""

    events: pa.Table
    end_ms: int

    def of(self, column: str, key: str) -> list[Event]:
        """The events of one user or item, as ingest completes them."""
        rows = self.events.filter(pc.equal(self.events[column], key)).to_pylist()
        return [
            _EXTRA | row | {"received_at": row["occurred_at"], "category": category_of(row["item_id"])} for row in rows
        ]


def category_of(item_id: str) -> str:
    """The category of an item."""
    return f"c{int(item_id[1:]) % CATEGORIES}"


def make_history(events: int, *, users: int, items: int, seed: int) -> History:
    """Events of users and items of very different frequency."""
    draw = np.random.default_rng(seed)
    end_ms = now_ms() - 60_000
    at: Ints = np.sort(draw.integers(end_ms - _MONTH_MS, end_ms, events))
    kind = draw.choice(len(_TYPES), events, p=_SHARES)
    seconds = np.where(kind == _TYPES.index("dwell"), draw.integers(1, 300, events), np.nan)
    columns = {
        "event_id": pa.array(np.arange(events)).cast(pa.string()),
        "user_id": _named("u", _skewed(draw, users, events), users),
        "item_id": _named("i", _skewed(draw, items, events), items),
        "event_type": pa.DictionaryArray.from_arrays(pa.array(kind), pa.array(_TYPES)).cast(pa.string()),
        "occurred_at": pa.array(at),
        "value": pa.array(seconds, from_pandas=True),
    }
    return History(pa.table(columns), end_ms)


def _skewed(draw: Generator, count: int, size: int) -> Ints:
    return np.minimum((count * draw.random(size) ** 2).astype(np.int64), count - 1)


def _named(letter: str, numbers: Ints, count: int) -> pa.Array:
    names = pa.array([f"{letter}{number}" for number in range(count)])
    return pa.DictionaryArray.from_arrays(pa.array(numbers), names).cast(pa.string())


def measure(events: int, *, users: int, items: int, seed: int) -> Result:
    """Import the history, kill the import once, wait for its end, and compare reads.

    Raises:
        EnvironmentProblem: the pipeline or the import failed.
    """
    machine, history = this_machine(), make_history(events, users=users, items=items, seed=seed)
    with tempfile.TemporaryDirectory() as name, _pipeline(Path(name)) as pipeline:
        folder = Path(name)
        _write_files(folder, history, items)
        _import(pipeline, "items", folder / "items.csv").wait()
        begun = time.monotonic()
        killed_at_s = _kill_midway(pipeline, folder / "events", events, begun)
        if _import(pipeline, "events", folder / "events").wait():
            message = "the import failed; its error is above"
            raise EnvironmentProblem(message)
        seconds = time.monotonic() - begun
        console.print(f"imported after {seconds:.0f} s")
        expected = list(_draw(pipeline, history, users, items, np.random.default_rng(seed)))
        wrong = [sentence for at_ms, each in expected for sentence in _differences(pipeline, at_ms, each)]
        clean = _clean_records(pipeline)
    return Result(
        machine=machine,
        events=events,
        seconds=round(seconds, 1),
        events_per_s=round(events / seconds, 1),
        killed_at_s=round(killed_at_s, 1),
        clean=clean,
        reads=len(expected),
        values=sum(len(each.values) for _, each in expected),
        mismatches=wrong,
    )


@contextlib.contextmanager
def _pipeline(folder: Path) -> Iterator[RunningPipeline]:
    """A pipeline whose features keep their state on disk: a month's tiles do not fit a small heap."""
    (folder / "features").symlink_to(FEATURES)
    (folder / PROJECT_FILE).touch()
    (folder / OPTIONS_FILE).write_text(_FLINK)
    with running_pipeline(shipped_plan(*GROUPS), say=console.print, project=folder) as pipeline:
        yield pipeline


def _write_files(folder: Path, history: History, items: int) -> None:
    (folder / "events").mkdir()
    for number, first in enumerate(range(0, history.events.num_rows, _FILE_ROWS)):
        part = history.events.slice(first, _FILE_ROWS)
        parquet.write_table(part, folder / "events" / f"part-{number:03d}.parquet", row_group_size=100_000)
    lines = (f"i{number},{category_of(f'i{number}')}\n" for number in range(items))
    (folder / "items.csv").write_text("item_id,category\n" + "".join(lines))


def _import(pipeline: RunningPipeline, into: str, path: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", "from headrace.cli import main; main()", "import", into, str(path)]
    stack = {STATE_VARIABLE: str(pipeline.layout.home), PROJECT_VARIABLE: str(pipeline.layout.project)}
    return subprocess.Popen(command, env=os.environ | stack)


def _kill_midway(pipeline: RunningPipeline, path: Path, events: int, begun: float) -> float:
    """Kill the import when a third of the events are clean; returns the seconds until then."""
    running = _import(pipeline, "events", path)

    def third_is_clean() -> bool:
        return running.poll() is not None or _clean_records(pipeline) > events // 3

    pipeline.wait(third_is_clean, "a third of the events", deadline_s=7_200, every_s=1.0)
    running.send_signal(signal.SIGKILL)
    running.wait()
    killed_at_s = time.monotonic() - begun
    console.print(f"killed after {killed_at_s:.0f} s")
    return killed_at_s


def _clean_records(pipeline: RunningPipeline) -> int:
    """End offsets of the clean topic, transaction markers among them."""
    found = bounds(pipeline.endpoints.bootstrap, EVENTS_CLEAN.name)
    return sum(end for _, end in found.values())


def _draw(
    pipeline: RunningPipeline, history: History, users: int, items: int, draw: Generator
) -> Iterator[tuple[int, against_oracle.Expected]]:
    groups = pipeline.plan.groups
    drawn = 0
    while drawn < READS:
        group: Group = groups[drawn % len(groups)]
        column, letter, count = ("item_id", "i", items) if group.entity[0] == "item_id" else ("user_id", "u", users)
        owner = f"{letter}{int(_skewed(draw, count, 1)[0])}"
        at_ms = int(history.end_ms + draw.integers(0, _HOUR_MS))
        known = history.of(column, owner)
        counted = sorted({str(event["category"]) for event in known if event["event_type"] in _COUNTED})
        if not counted:
            continue
        key = (owner, str(draw.choice(counted))) if len(group.entity) > 1 else (owner,)
        drawn += 1
        yield at_ms, against_oracle.Expected(group, key, Oracle(group, known).read(key, at_ms=at_ms).values)


def _differences(pipeline: RunningPipeline, at_ms: int, expected: against_oracle.Expected) -> list[str]:
    return against_oracle.differences([expected], against_oracle.read_store(pipeline.redis, at_ms=at_ms), ratio=1e-9)


def main() -> int:
    """`headrace bench import_history`."""
    parser = argparse.ArgumentParser(prog="headrace bench import_history", description=__doc__)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--users", type=int, default=50_000)
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path, default=RESULT)
    chosen = parser.parse_args()
    result = run_and_save(
        "import_history",
        lambda: measure(chosen.events, users=chosen.users, items=chosen.items, seed=chosen.seed),
        chosen.output,
    )
    out = Console()
    out.print(f"{result.events} events in {result.seconds:.0f} s, {result.events_per_s:.0f}/s, killed once")
    out.print(f"{result.reads} reads, {result.values} values: {len(result.mismatches)} mismatches")
    out.print("\n".join(result.mismatches[:20]))
    return 1 if result.mismatches else 0


if __name__ == "__main__":
    sys.exit(main())
