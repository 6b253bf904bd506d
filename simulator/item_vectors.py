"""What a camera and a writer make of an item: noisy linear views of its hidden style, some of them missing."""

import numpy as np
from msgspec import Struct
from numpy.random import Generator

from models.array_types import Doubles
from models.modality import Modality


class View(Struct, frozen=True, kw_only=True):
    """One modality of the simulated items.

    Attributes:
        noise: its variance for each of the signal. `missing`: share of items without it.
    """

    modality: Modality
    noise: float
    missing: float


IMAGE = View(modality=Modality(name="image", width=32), noise=0.5, missing=0.2)
TEXT = View(modality=Modality(name="text", width=24), noise=1.0, missing=0.1)


class Views:
    """Draws the vectors of items as they are born, from a generator of its own: nothing else in the world moves."""

    def __init__(self, views: tuple[View, ...], *, directions: int, generator: Generator) -> None:
        self._views = views
        self._random = generator
        self._looks = [generator.normal(0, 1, (directions, view.modality.width)) for view in views]

    def see(self, styles: Doubles) -> list[dict[str, list[float]]]:
        """Vectors of about length 1, by modality, of items with these styles [B, D]."""
        found: list[dict[str, list[float]]] = [{} for _ in styles]
        for view, look in zip(self._views, self._looks, strict=True):
            width = view.modality.width
            noise = self._random.normal(0, np.sqrt(view.noise), (len(styles), width))
            seen = (styles @ look + noise) / np.sqrt(width * (1 + view.noise))  # styles are of about length 1
            there = self._random.random(len(styles)) >= view.missing
            for place in np.flatnonzero(there).tolist():
                found[place][view.modality.name] = seen[place].astype(np.float32).tolist()
        return found
