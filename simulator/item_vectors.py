"""Simulated image and text vectors of items: noisy linear projections of their hidden style, some of them missing."""

import numpy as np
from msgspec import Struct
from numpy.random import Generator

from headrace.models.array_types import Doubles
from headrace.models.content.modality import Modality


class SimulatedModality(Struct, frozen=True, kw_only=True):
    """How the vectors of one modality are drawn.

    Attributes:
        noise: variance of the noise, relative to that of the signal.
        missing: share of items without a vector.
    """

    modality: Modality
    noise: float
    missing: float


IMAGE = SimulatedModality(modality=Modality(name="image", width=32), noise=0.5, missing=0.2)
TEXT = SimulatedModality(modality=Modality(name="text", width=24), noise=1.0, missing=0.1)


class ItemVectors:
    """Draws the vectors of new items, from its own generator so that they do not change the rest of the world."""

    def __init__(self, modalities: tuple[SimulatedModality, ...], *, directions: int, generator: Generator) -> None:
        self._modalities = modalities
        self._random = generator
        self._projections = [generator.normal(0, 1, (directions, each.modality.width)) for each in modalities]

    def draw(self, styles: Doubles) -> list[dict[str, list[float]]]:
        """Vectors of items with these styles [B, D], by modality; their length is about 1."""
        found: list[dict[str, list[float]]] = [{} for _ in styles]
        for modality, projection in zip(self._modalities, self._projections, strict=True):
            width = modality.modality.width
            noise = self._random.normal(0, np.sqrt(modality.noise), (len(styles), width))
            # styles have a length of about 1
            vectors = (styles @ projection + noise) / np.sqrt(width * (1 + modality.noise))
            present = self._random.random(len(styles)) >= modality.missing
            for item in np.flatnonzero(present).tolist():
                found[item][modality.modality.name] = vectors[item].astype(np.float32).tolist()
        return found
