"""What an index of items answers; `index_numpy` and `index_torch` have one each."""

from collections.abc import Callable
from typing import Protocol, TypeAlias

from models.array_types import Flags, Floats, Ids, Indexes


class Index(Protocol):
    """Items by inner product; `index_numpy.NumpyIndex` is one, `index_torch.TorchIndex` another."""

    @property
    def ids(self) -> Ids:
        """The items' ids [N]."""
        ...

    def search(self, vector: Floats, count: int, *, allowed: Flags | None = None) -> tuple[Indexes, Floats]:
        """Places and products of the best items, best first."""
        ...


BuildIndex: TypeAlias = Callable[[Ids, Floats], Index]
"""Makes an index of ids [N] and vectors [N, V]."""
