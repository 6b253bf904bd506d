"""Exact nearest items by inner product on a torch device, for catalogues that a CPU scans too slowly."""

# pyright: reportUnknownMemberType=false
from typing import cast

import numpy as np
import torch

from headrace.models.array_types import Flags, Floats, Ids, Indexes
from headrace.models.device import to_device
from headrace.models.index.protocol import BuildIndex
from headrace.models.ranker.forward_torch import to_numpy


class TorchIndex:
    """An immutable index with the results of `NumpyIndex`, up to the last bits of a product."""

    def __init__(self, ids: Ids, vectors: Floats, device: torch.device) -> None:
        self.ids, self.vectors = ids, vectors
        self._device = device
        self._vectors = to_device(vectors, device)  # [N, V]

    @classmethod
    def builder(cls, device: torch.device) -> BuildIndex:
        """Return the function that builds indexes on a device."""
        return lambda ids, vectors: cls(ids, vectors, device)

    def search(self, vector: Floats, count: int, *, allowed: Flags | None = None) -> tuple[Indexes, Floats]:
        """Return the indexes and products of the `count` best items, best first; see `NumpyIndex.search`."""
        products = self._vectors @ to_device(vector, self._device)
        if allowed is not None:
            products = products.masked_fill(~to_device(allowed, self._device), -torch.inf)
        count = min(count, len(self.ids) if allowed is None else int(allowed.sum()))
        if not count:
            return np.zeros(0, np.int64), np.zeros(0, np.float32)
        least = torch.topk(products, count, sorted=False).values.min()
        kept = (products >= least).nonzero()[:, 0]  # include ties with the last one: the lower index wins
        indexes, values = cast(Indexes, kept.cpu().numpy()), to_numpy(products[kept])
        best = np.lexsort((indexes, -values))[:count]
        return indexes[best], values[best]
