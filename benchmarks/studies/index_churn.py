"""An index that follows moving items minute by minute, and is rebuilt by another process as the feeder would."""

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np
from msgspec import Struct

from benchmarks.inputs.moving_items import LearnedLog, MovingItems
from headrace.models.array_types import Floats
from headrace.models.index.base import Base, BaseFile, build_base
from headrace.models.index.layered import NEAREST, LayeredBuilder, LayeredIndex, layered
from headrace.models.index.protocol import Index
from headrace.models.index.recall import calibrated, recall_of
from headrace.serving.shared.base_file import map_lists, write_lists
from headrace.serving.shared.index_rebuilds import reason_to_rebuild

ROWS_A_MINUTE = 5_000
"""Samples that a minute learns."""
REPLACED = 0.002
"""Share of the items that a minute replaces by new ones."""
CALIBRATED, MEASURED, TIMED = 32, 100, 1_000  # users
_THRESHOLDS = (0.02, 0.05, 0.1, 0.2, 2.0)  # two unit vectors are at most 2 apart
_MEANWHILE = 100  # searches between two looks at the rebuild
_LOWEST_PRIORITY = 19


class Times(Struct, frozen=True):
    """Number of searches, and their milliseconds: by the clock, and of the CPU, which other work disturbs less."""

    searches: int
    p50: float
    p99: float
    cpu_p50: float
    cpu_p99: float


class Rebuild(Struct, frozen=True, kw_only=True):
    """A rebuild: why, its seconds, searches of the old index meanwhile, and recall of the new one."""

    reason: str
    seconds: float
    meanwhile: Times
    recall: float


class Minute(Struct, frozen=True, kw_only=True):
    """One minute: the index over its vectors before any rebuild, `layer_s` the time to put the base under them."""

    recall: float
    delta: int
    tombstones: int
    layer_s: float
    idle: Times
    rebuild: Rebuild | None = None


class _Built(Struct, frozen=True):
    file: BaseFile
    seconds: float


def follow(log: LearnedLog, world: MovingItems, *, changed: float, minutes: int, folder: Path) -> Iterator[Minute]:
    """Follow a world for some minutes, from a base of its first vectors on."""
    builder = LayeredBuilder()
    builder.base = calibrated(build_base(world.ids, world.vectors()), world.users(CALIBRATED))
    for _ in range(minutes):
        world.follow(log.learn(ROWS_A_MINUTE), changed=changed, replaced=REPLACED)
        vectors = world.vectors()
        begun = time.perf_counter()
        index = builder(world.ids, vectors)
        layer_s = time.perf_counter() - begun
        recall = recall_of(index, world.users(MEASURED))
        idle = times_of(index, world.users(TIMED))
        reason = reason_to_rebuild(index, recall=recall)
        yield Minute(
            recall=round(recall, 4),
            delta=len(index.delta) if isinstance(index, LayeredIndex) else len(index.ids),
            tombstones=index.tombstones if isinstance(index, LayeredIndex) else 0,
            layer_s=round(layer_s, 3),
            idle=idle,
            rebuild=_rebuild(builder, index, world, folder=folder, reason=reason) if reason else None,
        )


class Threshold(Struct, frozen=True, kw_only=True):
    """A distance at which a row counts as moved, some minutes after the base: share of items in the delta, recall."""

    moved: float
    delta: float
    recall: float


class Aged(Struct, frozen=True, kw_only=True):
    """A base after some minutes without a rebuild.

    `distance`: median from an item's vector then to now; `residual`: what of that the alignment does not explain.
    """

    minutes: int
    distance: float
    residual: float
    thresholds: list[Threshold]


def age(log: LearnedLog, world: MovingItems, *, changed: float, minutes: int) -> Aged:
    """Let a base grow old, and compare thresholds."""
    base = calibrated(build_base(world.ids, world.vectors()), world.users(CALIBRATED))
    for _ in range(minutes):
        world.follow(log.learn(ROWS_A_MINUTE), changed=changed, replaced=0.0)
    vectors, users = world.vectors(), world.users(MEASURED)
    alignment = layered(base, world.ids, vectors).alignment
    away, residual = (np.linalg.norm(vectors - then, axis=1) for then in (base.vectors, base.vectors @ alignment))
    found: list[Threshold] = []
    for moved in _THRESHOLDS:
        index = layered(base, world.ids, vectors, moved=moved)
        share, recall = len(index.delta) / len(index.ids), recall_of(index, users)
        found.append(Threshold(moved=moved, delta=round(share, 4), recall=round(recall, 4)))
    distance, left = round(float(np.median(away)), 4), round(float(np.median(residual)), 4)
    return Aged(minutes=minutes, distance=distance, residual=left, thresholds=found)


def times_of(index: Index, users: Floats, going_on: Callable[[], bool] = lambda: False) -> Times:
    """Time a search for each user, and for all of them again while something goes on."""
    took, used = list[float](), list[float]()
    for user in users[:5]:
        index.search(user, NEAREST)  # the caches hold other data
    while not took or going_on():
        for user in users:
            begun, cpu = time.perf_counter(), time.thread_time()
            index.search(user, NEAREST)
            used.append((time.thread_time() - cpu) * 1_000)
            took.append((time.perf_counter() - begun) * 1_000)
    return Times(
        len(took), *(round(float(each), 3) for times in (took, used) for each in np.percentile(times, (50, 99)))
    )


def _rebuild(builder: LayeredBuilder, index: Index, world: MovingItems, *, folder: Path, reason: str) -> Rebuild:
    """Build a base in another process, search meanwhile, and take it."""
    for name, array in {"ids": index.ids, "vectors": index.vectors, "users": world.users(CALIBRATED)}.items():
        np.save(folder / f"{name}.npy", array)
    process = multiprocessing.get_context("spawn").Process(target=_build, args=(folder,))
    process.start()
    meanwhile = times_of(index, world.users(_MEANWHILE), process.is_alive)
    process.join()
    built = msgspec.json.decode((folder / "built.json").read_bytes(), type=_Built)
    lists = map_lists(folder, built.file, width=index.vectors.shape[1], rows=len(index.ids))
    builder.base = Base(index.ids, index.vectors, lists)
    recall = recall_of(builder(index.ids, index.vectors), world.users(MEASURED))
    return Rebuild(reason=reason, seconds=built.seconds, meanwhile=meanwhile, recall=round(recall, 4))


def _build(folder: Path) -> None:
    os.nice(_LOWEST_PRIORITY)
    ids, vectors, users = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("ids", "vectors", "users"))
    begun = time.perf_counter()
    base = calibrated(build_base(ids, vectors), np.asarray(users))
    file = write_lists(folder / f"base-{time.time_ns()}.faiss", base.lists)
    built = _Built(file, round(time.perf_counter() - begun, 2))
    (folder / "built.json").write_bytes(msgspec.json.encode(built))
