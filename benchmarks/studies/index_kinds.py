"""Indexes of items that do not move: exact, FAISS' IVF and HNSW, and where a base begins to be faster than a scan."""

import time
from collections.abc import Callable

import faiss
import numpy as np
from msgspec import Struct, structs

from benchmarks.inputs.moving_items import LearnedLog, MovingItems
from benchmarks.studies.index_churn import CALIBRATED, MEASURED, TIMED, Times, times_of
from headrace.models.array_types import Flags, Floats, Ids, Indexes
from headrace.models.index.base import build_base
from headrace.models.index.exact import NumpyIndex, best
from headrace.models.index.layered import layered
from headrace.models.index.protocol import Index
from headrace.models.index.recall import calibrated, recall_of
from headrace.models.ranker.state import ModelState

_NEIGHBOURS, _CONSTRUCTION, _SEARCH = 16, 100, 200  # of HNSW: the smallest that reach the aim on a million rows
_CROSSED = (10_000, 30_000, 60_000, 100_000, 250_000)
_DELTA = 0.05


class Alone(Struct, frozen=True, kw_only=True):
    """An index of one kind, of vectors that do not change."""

    build_s: float
    megabytes: float
    recall: float
    times: Times


class Crossing(Struct, frozen=True, kw_only=True):
    """Exact search and a base with a twentieth of the items in the delta, over the same vectors."""

    rows: int
    width: int
    exact: Times
    base: Times


class HnswIndex:
    """FAISS' graph over the vectors as they are; it has no way to move or remove a row."""

    def __init__(self, ids: Ids, vectors: Floats) -> None:
        self.ids, self.vectors = ids, vectors
        self.graph = faiss.IndexHNSWFlat(vectors.shape[1], _NEIGHBOURS, faiss.METRIC_INNER_PRODUCT)
        self.graph.hnsw.efConstruction = _CONSTRUCTION
        self.graph.add(vectors)
        self.graph.hnsw.efSearch = _SEARCH

    def search(self, vector: Floats, count: int, *, allowed: Flags | None = None) -> tuple[Indexes, Floats]:
        """As `Index.search`, without a filter."""
        _, (rows,) = self.graph.search(vector[None, :], count)
        return best(rows, self.vectors[rows] @ vector, count)


def compare_kinds(world: MovingItems) -> dict[str, Alone]:
    """Build, search and measure each kind over a world's vectors."""
    ids, vectors, few = world.ids, world.vectors(), world.users(CALIBRATED)

    def ivf() -> Index:
        return layered(calibrated(build_base(ids, vectors), few), ids, vectors)

    kinds: dict[str, Callable[[], Index]] = {
        "exact": lambda: NumpyIndex(ids, vectors),
        "ivf": ivf,
        "hnsw": lambda: HnswIndex(ids, vectors),
    }
    return {name: _measured(build, world) for name, build in kinds.items()}


def _measured(build: Callable[[], Index], world: MovingItems) -> Alone:
    begun = time.perf_counter()
    index = build()
    build_s = time.perf_counter() - begun
    return Alone(
        build_s=round(build_s, 2),
        megabytes=round(_bytes_of(index) / 1e6, 2),
        recall=round(recall_of(index, world.users(MEASURED)), 4),
        times=times_of(index, world.users(TIMED)),
    )


def _bytes_of(index: Index) -> int:
    """Of the vectors, or of FAISS' structure; the current vectors come on top of the latter, for the IVF at least."""
    if isinstance(index, NumpyIndex):
        return index.vectors.nbytes
    graph = index.graph if isinstance(index, HnswIndex) else index.lists.ivf
    return faiss.serialize_index(graph).nbytes


def cross(log: LearnedLog, model: ModelState) -> list[Crossing]:
    """Times by size, for vectors of a model."""
    found: list[Crossing] = []
    for rows in _CROSSED:
        world = MovingItems(log, model, count=rows, seed=0)
        ids, vectors, users = world.ids, world.vectors(), world.users(TIMED)
        delta = np.arange(0, rows, round(1 / _DELTA))
        index = layered(calibrated(build_base(ids, vectors), world.users(CALIBRATED)), ids, vectors)
        index = structs.replace(index, delta=delta, delta_vectors=vectors[delta])
        exact = times_of(NumpyIndex(ids, vectors), users)
        found.append(Crossing(rows=rows, width=vectors.shape[1], exact=exact, base=times_of(index, users)))
    return found
