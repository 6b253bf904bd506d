"""The interface of an index of items; `exact`, `torch_index` and `layered` implement it."""

from collections.abc import Callable
from typing import Protocol, TypeAlias

from headrace.models.array_types import Flags, Floats, Ids, Indexes


class Index(Protocol):
    """Finds items by inner product; implemented by `NumpyIndex`, `TorchIndex` and `LayeredIndex`."""

    @property
    def ids(self) -> Ids:
        """The items' ids [N]."""
        ...

    @property
    def vectors(self) -> Floats:
        """The items' vectors [N, V]."""
        ...

    def search(self, vector: Floats, count: int, *, allowed: Flags | None = None) -> tuple[Indexes, Floats]:
        """Return the indexes and products of the best items, best first."""
        ...


BuildIndex: TypeAlias = Callable[[Ids, Floats], Index]
"""Builds an index of ids [N] and vectors [N, V]."""
