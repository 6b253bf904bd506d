"""Item vectors in fewer bytes: what each form finds of the hundred nearest, and how long a search takes."""

from collections.abc import Callable

import numpy as np
from msgspec import Struct

from benchmarks.harness.interleaved import clocked, in_turns
from models.array_types import Floats
from models.index_numpy import NumpyIndex

_NEAREST = 100
_SEARCHED = 50_000


class Vectors(Struct, frozen=True):
    """One form. `recall`: share of the exact hundred that is found; `search_ms` among fifty thousand, median."""

    bytes_per_item: float
    recall: float
    search_ms: float


class Codes(Struct, frozen=True):
    """Vectors in 8 bits with a scale each, [N, V] and [N, 1]."""

    codes: "np.ndarray[tuple[int, ...], np.dtype[np.int8]]"
    scale: Floats

    def search(self, vector: Floats, count: int) -> object:
        """As `NumpyIndex.search`."""
        return NumpyIndex(np.arange(len(self.codes)), self.codes * self.scale).search(vector, count)


class Projected(Struct, frozen=True):
    """Vectors along the axes on which the items lie most apart, [N, V / 2], and those axes [V, V / 2]."""

    vectors: Floats
    axes: Floats

    def search(self, vector: Floats, count: int) -> object:
        """As `NumpyIndex.search`."""
        return NumpyIndex(np.arange(len(self.vectors)), self.vectors).search(vector @ self.axes, count)


def coded(items: Floats) -> Codes:
    """8 bits a number."""
    scale = np.abs(items).max(axis=1, keepdims=True) / np.float32(127)
    return Codes(np.rint(items / scale).astype(np.int8), scale)


def projected(items: Floats) -> Projected:
    """Half the numbers. About 0, not the mean: products are kept, not distances."""
    axes = np.linalg.svd(items, full_matrices=False)[2][: items.shape[1] // 2].T
    return Projected(items @ axes, axes)


def measure(items: Floats, users: Floats, *, rounds: int) -> dict[str, Vectors]:
    """Every form, of items [N, V] for users [M, V]."""
    codes, halves = coded(items), projected(items)
    products: dict[str, Floats] = {
        "fp32": users @ items.T,
        "fp16": users @ items.astype(np.float16).astype(np.float32).T,
        "int8": users @ (codes.codes * codes.scale).T,
        "PCA to half": (users @ halves.axes) @ halves.vectors.T,
    }
    width = items.shape[1]
    held_bytes = {"fp32": 4.0 * width, "fp16": 2.0 * width, "int8": width + 4.0, "PCA to half": 2.0 * width}
    times = in_turns(_searches(items, users[0]), rounds=rounds, seed=1)
    exact = _nearest(products["fp32"])
    found = {
        name: float(np.mean([np.isin(*pair).mean() for pair in zip(exact, _nearest(each), strict=True)]))
        for name, each in products.items()
    }
    return {name: Vectors(held_bytes[name], round(found[name], 4), times[name].p50_ms) for name in products}


def _searches(items: Floats, user: Floats) -> dict[str, Callable[[], float]]:
    """A search of each form among so many items, drawn from these again and again and moved a little."""
    rng = np.random.default_rng(1)
    many = items[rng.integers(0, len(items), _SEARCHED)]
    many += rng.normal(0, 0.02, many.shape).astype(np.float32)
    codes, halves, whole, half = (
        coded(many),
        projected(many),
        NumpyIndex(np.arange(len(many)), many),
        many.astype(np.float16),
    )
    return {
        "fp32": clocked(lambda: whole.search(user, _NEAREST)),
        "fp16": clocked(lambda: NumpyIndex(whole.ids, half.astype(np.float32)).search(user, _NEAREST)),
        "int8": clocked(lambda: codes.search(user, _NEAREST)),
        "PCA to half": clocked(lambda: halves.search(user, _NEAREST)),
    }


def _nearest(products: Floats) -> "np.ndarray[tuple[int, ...], np.dtype[np.intp]]":
    count = min(_NEAREST, products.shape[1])
    return np.argpartition(-products, count - 1, axis=1)[:, :count]
