"""Fusion of item vectors for the ranker and the towers, as a differentiable function; `fusion_numpy` is its twin."""

# pyright: reportUnknownMemberType=false
import torch
from msgspec import UNSET, Struct
from torch import Tensor

from headrace.models.content.modality import Fusion
from headrace.models.ranker.config import RankerConfig

Dense = dict[str, Tensor]


class Vectors(Struct, frozen=True):
    """Items' vectors as tensors. `values` [B, E]; `missing` [B, M], 1 where a modality is missing."""

    values: Tensor
    missing: Tensor


class FusionOutput(Struct, frozen=True):
    """What vectors contribute: extra pieces of the joint input, each [B, D], and a term for the heads [B, H]."""

    pieces: tuple[Tensor, ...]
    heads: Tensor | None


def apply_fusion(config: RankerConfig, dense: Dense, *, vectors: Vectors, user: Tensor, mean: Tensor) -> FusionOutput:
    """Fuse the vectors of items shown to users [B, D] whose histories have these means [B, D]."""
    if config.fusion is UNSET:
        return FusionOutput((), None)
    if config.fusion.manner == "late":
        return FusionOutput((), late_heads(config.fusion, dense, vectors=vectors, user=user, mean=mean))
    fused = fuse(config.fusion, dense, vectors)
    return FusionOutput((fused, fused * user), None)


def lift(config: RankerConfig, dense: Dense, vectors: Vectors) -> Tensor | None:
    """Return what vectors add to the items' retrieval vectors, before these are scaled to length 1. [B, V].

    Directly, not through the fused vector: with that, retrieval ranked new items lower (docs/adr/0019).
    """
    return None if config.fusion is UNSET else fill_missing(config.fusion, dense, vectors) @ dense["lift"]


def fuse(fusion: Fusion, dense: Dense, vectors: Vectors) -> Tensor:
    """Fuse each item's vectors into one [B, D], early or gated; a stand-in replaces a missing modality.

    Source of `gated`: Arevalo et al. 2017, "Gated multimodal units for information fusion", section 3.1: a tanh layer
    per modality, weighted by a gate that sees all of them. Unlike there, the gate is a softmax with one weight per
    modality, for more than two modalities.
    """
    numbers = torch.cat([fill_missing(fusion, dense, vectors), vectors.missing], dim=1)  # [B, E + M]
    if fusion.manner == "early":
        return torch.addmm(dense["fuse_bias"], numbers, dense["fuse"])
    shares = torch.softmax(torch.addmm(dense["gate_bias"], numbers, dense["gate"]), dim=1)
    return (shares[:, :, None] * embed(fusion, dense, numbers)).sum(dim=1)


def late_heads(fusion: Fusion, dense: Dense, *, vectors: Vectors, user: Tensor, mean: Tensor) -> Tensor:
    """Average what each present modality adds to the heads. -> [B, H]."""
    embedded = embed(fusion, dense, fill_missing(fusion, dense, vectors))  # [B, M, D]
    shares, total = shares_of_present(vectors), torch.zeros(())
    for index, each in enumerate(fusion.modalities):
        vector = embedded[:, index]
        joint = torch.cat([vector, vector * user, vector * mean], dim=1)
        heads = torch.addmm(dense["opinion_bias"][index], joint, dense[f"opinion:{each.name}"])
        total = total + shares[:, index : index + 1] * heads
    return total + vectors.missing @ dense["opinion_lacking"]


def fill_missing(fusion: Fusion, dense: Dense, vectors: Vectors) -> Tensor:
    """Replace missing vectors with their learned stand-ins. [B, E]."""
    spans = enumerate(fusion.spans().values())
    missing = torch.cat([vectors.missing[:, index, None] * dense["stand_in"][span] for index, span in spans], dim=1)
    return vectors.values + missing


def embed(fusion: Fusion, dense: Dense, numbers: Tensor) -> Tensor:
    """Apply each modality's own layer to its numbers. [B, E ...] -> [B, M, D]."""
    embedded = [
        torch.tanh(torch.addmm(dense[f"voice_bias:{name}"], numbers[:, span], dense[f"voice:{name}"]))
        for name, span in fusion.spans().items()
    ]
    return torch.stack(embedded, dim=1)


def shares_of_present(vectors: Vectors) -> Tensor:
    """Return equal shares of the present modalities, or of all stand-ins if none is present. [B, M]."""
    present = 1 - vectors.missing
    present = present + (present.sum(dim=1, keepdim=True) == 0)
    return present / present.sum(dim=1, keepdim=True)
