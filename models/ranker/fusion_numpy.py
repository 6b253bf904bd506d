"""Fusion of item vectors in numpy, for serving: the same functions as `fusion_torch`; a test compares the two."""

import numpy as np
from msgspec import UNSET, Struct

from headrace.models.array_types import Floats
from headrace.models.content.modality import Fusion
from headrace.models.content.vectors import Content
from headrace.models.ranker.config import RankerConfig

Dense = dict[str, Floats]


class FusionOutput(Struct, frozen=True):
    """What vectors contribute: extra pieces of the joint input, each [C, D], and a term for the heads [C, H]."""

    pieces: tuple[Floats, ...]
    heads: Floats | None


def apply_fusion(
    config: RankerConfig, dense: Dense, *, content: Content | None, user: Floats, mean: Floats
) -> FusionOutput:
    """Fuse the vectors of C candidates for a user [D] with this mean of the history [D]."""
    if config.fusion is UNSET or content is None:
        return FusionOutput((), None)
    if config.fusion.manner == "late":
        return FusionOutput((), _late_heads(config.fusion, dense, content=content, user=user, mean=mean))
    fused = _fuse(config.fusion, dense, content)
    return FusionOutput((fused, fused * user), None)


def lift(config: RankerConfig, dense: Dense, content: Content | None) -> Floats | None:
    """Return what vectors add to the items' retrieval vectors, before these are scaled to length 1. [N, V]."""
    if config.fusion is UNSET or content is None:
        return None
    return _fill_missing(config.fusion, dense, content) @ dense["lift"]


def _fuse(fusion: Fusion, dense: Dense, content: Content) -> Floats:
    """Fuse each item's vectors into one, early or gated. [N, D]."""
    filled = _fill_missing(fusion, dense, content)
    numbers = np.concatenate([filled, content.missing.astype(np.float32)], axis=1)  # [N, E + M]
    if fusion.manner == "early":
        return numbers @ dense["fuse"] + dense["fuse_bias"]
    logits = numbers @ dense["gate"] + dense["gate_bias"]
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    return (shares[:, :, None] * _embed(fusion, dense, numbers)).sum(axis=1)


def _late_heads(fusion: Fusion, dense: Dense, *, content: Content, user: Floats, mean: Floats) -> Floats:
    embedded = _embed(fusion, dense, _fill_missing(fusion, dense, content))
    shares, total = _shares_of_present(content), content.missing @ dense["opinion_lacking"]
    for index, each in enumerate(fusion.modalities):
        vector = embedded[:, index]
        joint = np.concatenate([vector, vector * user, vector * mean], axis=1)
        total += shares[:, index : index + 1] * (joint @ dense[f"opinion:{each.name}"] + dense["opinion_bias"][index])
    return total


def _fill_missing(fusion: Fusion, dense: Dense, content: Content) -> Floats:
    missing = content.missing.repeat([each.width for each in fusion.modalities], axis=1)  # [N, M] -> [N, E]
    return np.where(missing, dense["stand_in"], content.values)


def _embed(fusion: Fusion, dense: Dense, numbers: Floats) -> Floats:
    embedded = [
        np.tanh(numbers[:, span] @ dense[f"voice:{name}"] + dense[f"voice_bias:{name}"])
        for name, span in fusion.spans().items()
    ]
    return np.stack(embedded, axis=1)


def _shares_of_present(content: Content) -> Floats:
    present = (~content.missing).astype(np.float32)
    present[content.missing.all(axis=1)] = 1.0
    return present / present.sum(axis=1, keepdims=True)
