"""The approximate part of an index: FAISS lists of vectors as they were when the base was built. Immutable.

IVF: k-means gives each vector a list, and a search scans the lists whose centroids are nearest (Sivic and Zisserman
2003, "Video Google"). A number of a vector has 8 bits there, because products are computed again from current vectors.
"""

# pyright: reportUnknownMemberType=false
from typing import cast

import faiss
import numpy as np
from msgspec import Struct, structs

from headrace.models.array_types import Floats, Ids, Indexes

_SAMPLE = 64  # training vectors per list
_ROUNDS = 10
_MOST_LISTS = 4_096


class BaseFile(Struct, frozen=True):
    """The file in which other processes find the lists."""

    name: str
    bytes: int
    checksum: int


class Lists(Struct, frozen=True):
    """Rows 0 to B - 1 in lists. `probes`: how many lists a search scans. Threads may search at the same time."""

    ivf: faiss.IndexIVF
    probes: int
    file: BaseFile | None = None

    def __len__(self) -> int:
        return int(self.ivf.ntotal)

    def nearest(self, vector: Floats, count: int, *, probes: int) -> tuple[Indexes, float]:
        """Return up to `count` rows near a vector [V], and the least product of the vectors as they were."""
        parameters = faiss.SearchParametersIVF()
        parameters.nprobe = min(probes, int(self.ivf.nlist))
        products, rows = self.ivf.search(vector[None, :], min(count, len(self)), params=parameters)
        kept = rows[0] >= 0  # FAISS pads with -1
        found = cast(Indexes, rows[0][kept])
        return found, float(products[0][kept].min(initial=np.inf))


class Base(Struct, frozen=True):
    """Lists, and what they were made of: `ids` [B] ascending, `vectors` [B, V]."""

    ids: Ids
    vectors: Floats
    lists: Lists

    def with_lists(self, **changes: object) -> "Base":
        """The same base with other fields of its lists."""
        return structs.replace(self, lists=structs.replace(self.lists, **changes))


def build_base(ids: Ids, vectors: Floats, *, seed: int = 0) -> Base:
    """Build a base of B vectors, at least one.

    Most of the time is the assignment of all vectors to lists; centroids kept from an earlier base would save two
    fifths, and grow old.
    """
    faiss.omp_set_num_threads(1)  # of this thread; a pool would compete with requests for the cores
    width, count = vectors.shape[1], _list_count(len(vectors))
    sample = np.random.default_rng(seed).permutation(len(vectors))[: count * _SAMPLE]
    eight_bits = faiss.ScalarQuantizer.QT_8bit
    ivf = faiss.IndexIVFScalarQuantizer(
        faiss.IndexFlatIP(width), width, count, eight_bits, faiss.METRIC_INNER_PRODUCT, False
    )
    ivf.cp.niter, ivf.cp.seed, ivf.cp.spherical = _ROUNDS, seed, True
    ivf.cp.min_points_per_centroid = 1  # otherwise FAISS warns of a small catalogue on standard error
    ivf.train(vectors[np.sort(sample)])
    ivf.add(np.ascontiguousarray(vectors))
    return Base(ids, vectors, Lists(ivf, probes=count))


def _list_count(rows: int) -> int:
    """A power of two near the root of the number of rows: 1,024 lists for a million."""
    return min(2 ** round(np.log2(max(rows, 1)) / 2), _MOST_LISTS)
