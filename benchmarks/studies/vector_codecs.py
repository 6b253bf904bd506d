"""Item vectors in fewer bytes: recall of the hundred nearest and search time of each form."""

from collections.abc import Callable

import numpy as np
from msgspec import Struct

from benchmarks.harness.interleaved import time_interleaved, timed
from headrace.models.array_types import Floats
from headrace.models.index.exact import NumpyIndex

_NEAREST = 100
_SEARCHED = 50_000


class Vectors(Struct, frozen=True):
    """One form. `recall`: share of the exact hundred found; `search_ms`: median among fifty thousand items."""

    bytes_per_item: float
    recall: float
    search_ms: float


class Codes(Struct, frozen=True):
    """Vectors in 8 bits, with one scale per vector. [N, V] and [N, 1]."""

    codes: "np.ndarray[tuple[int, ...], np.dtype[np.int8]]"
    scale: Floats

    def search(self, vector: Floats, count: int) -> object:
        """Decode, then search as `NumpyIndex.search` does."""
        return NumpyIndex(np.arange(len(self.codes)), self.codes * self.scale).search(vector, count)


class Projected(Struct, frozen=True):
    """Vectors on the axes of largest variance of the items, [N, V / 2], and those axes [V, V / 2]."""

    vectors: Floats
    axes: Floats

    def search(self, vector: Floats, count: int) -> object:
        """Project, then search as `NumpyIndex.search` does."""
        return NumpyIndex(np.arange(len(self.vectors)), self.vectors).search(vector @ self.axes, count)


def encode_int8(items: Floats) -> Codes:
    """Encode with 8 bits per number."""
    scale = np.abs(items).max(axis=1, keepdims=True) / np.float32(127)
    return Codes(np.rint(items / scale).astype(np.int8), scale)


def project(items: Floats) -> Projected:
    """Keep half the numbers. Axes go through 0, not the mean, to preserve products rather than distances."""
    axes = np.linalg.svd(items, full_matrices=False)[2][: items.shape[1] // 2].T
    return Projected(items @ axes, axes)


def measure(items: Floats, users: Floats, *, rounds: int) -> dict[str, Vectors]:
    """Measure every form, for items [N, V] and users [M, V]."""
    codes, halves = encode_int8(items), project(items)
    products: dict[str, Floats] = {
        "fp32": users @ items.T,
        "fp16": users @ items.astype(np.float16).astype(np.float32).T,
        "int8": users @ (codes.codes * codes.scale).T,
        "PCA to half": (users @ halves.axes) @ halves.vectors.T,
    }
    width = items.shape[1]
    size_bytes = {"fp32": 4.0 * width, "fp16": 2.0 * width, "int8": width + 4.0, "PCA to half": 2.0 * width}
    times = time_interleaved(_searches(items, users[0]), rounds=rounds, seed=1)
    exact = _nearest(products["fp32"])
    found = {
        name: float(np.mean([np.isin(*pair).mean() for pair in zip(exact, _nearest(each), strict=True)]))
        for name, each in products.items()
    }
    return {name: Vectors(size_bytes[name], round(found[name], 4), times[name].p50_ms) for name in products}


def _searches(items: Floats, user: Floats) -> dict[str, Callable[[], float]]:
    """A search of each form among `_SEARCHED` items: copies of the given ones with a little noise."""
    rng = np.random.default_rng(1)
    many = items[rng.integers(0, len(items), _SEARCHED)]
    many += rng.normal(0, 0.02, many.shape).astype(np.float32)
    codes, halves, whole, half = (
        encode_int8(many),
        project(many),
        NumpyIndex(np.arange(len(many)), many),
        many.astype(np.float16),
    )
    return {
        "fp32": timed(lambda: whole.search(user, _NEAREST)),
        "fp16": timed(lambda: NumpyIndex(whole.ids, half.astype(np.float32)).search(user, _NEAREST)),
        "int8": timed(lambda: codes.search(user, _NEAREST)),
        "PCA to half": timed(lambda: halves.search(user, _NEAREST)),
    }


def _nearest(products: Floats) -> "np.ndarray[tuple[int, ...], np.dtype[np.intp]]":
    count = min(_NEAREST, products.shape[1])
    return np.argpartition(-products, count - 1, axis=1)[:, :count]
