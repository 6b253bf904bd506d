"""What items' vectors tell the ranker and the towers, as a differentiable function; `fused` is the same in numpy."""

# pyright: reportUnknownMemberType=false
import torch
from msgspec import UNSET, Struct
from torch import Tensor

from models.config import RankerConfig
from models.modality import Fusion

Dense = dict[str, Tensor]


class Vectors(Struct, frozen=True):
    """Items' vectors as tensors. `values` [B, E]; `lacking` [B, M], 1 where a modality is missing."""

    values: Tensor
    lacking: Tensor


class Told(Struct, frozen=True):
    """What vectors tell: what the joint input has more, each [B, D], and what is added to the heads [B, H]."""

    pieces: tuple[Tensor, ...]
    heads: Tensor | None


def tell(config: RankerConfig, dense: Dense, *, vectors: Vectors, user: Tensor, mean: Tensor) -> Told:
    """What vectors tell of items shown to users [B, D] whose histories have these means [B, D]."""
    if config.fusion is UNSET:
        return Told((), None)
    if config.fusion.manner == "late":
        return Told((), opinions(config.fusion, dense, vectors=vectors, user=user, mean=mean))
    fused = fuse(config.fusion, dense, vectors)
    return Told((fused, fused * user), None)


def lift(config: RankerConfig, dense: Dense, vectors: Vectors) -> Tensor | None:
    """What vectors add to the items' retrieval vectors before these are scaled to length 1. [B, V].

    Straight, not by way of the fused vector: with that, retrieval placed new items lower (docs/adr/0019).
    """
    return None if config.fusion is UNSET else stood_in(config.fusion, dense, vectors) @ dense["lift"]


def fuse(fusion: Fusion, dense: Dense, vectors: Vectors) -> Tensor:
    """One vector an item [B, D], early or gated; for a modality that is missing its stand-in speaks.

    Source of `gated`: Arevalo et al. 2017, "Gated multimodal units for information fusion", section 3.1: a tanh layer
    a modality, weighed by a gate that sees them all; but one weight a modality, of a softmax, for more than two.
    """
    seen = torch.cat([stood_in(fusion, dense, vectors), vectors.lacking], dim=1)  # [B, E + M]
    if fusion.manner == "early":
        return torch.addmm(dense["fuse_bias"], seen, dense["fuse"])
    shares = torch.softmax(torch.addmm(dense["gate_bias"], seen, dense["gate"]), dim=1)
    return (shares[:, :, None] * voices(fusion, dense, seen)).sum(dim=1)


def opinions(fusion: Fusion, dense: Dense, *, vectors: Vectors, user: Tensor, mean: Tensor) -> Tensor:
    """What each modality would add to the heads, averaged over those present. -> [B, H]."""
    heard = voices(fusion, dense, stood_in(fusion, dense, vectors))  # [B, M, D]
    shares, total = present(vectors), torch.zeros(())
    for place, each in enumerate(fusion.modalities):
        voice = heard[:, place]
        about = torch.cat([voice, voice * user, voice * mean], dim=1)
        said = torch.addmm(dense["opinion_bias"][place], about, dense[f"opinion:{each.name}"])
        total = total + shares[:, place : place + 1] * said
    return total + vectors.lacking @ dense["opinion_lacking"]


def stood_in(fusion: Fusion, dense: Dense, vectors: Vectors) -> Tensor:
    """The vectors with learned stand-ins for those that are missing. [B, E]."""
    spans = enumerate(fusion.spans().values())
    missing = torch.cat([vectors.lacking[:, place, None] * dense["stand_in"][span] for place, span in spans], dim=1)
    return vectors.values + missing


def voices(fusion: Fusion, dense: Dense, seen: Tensor) -> Tensor:
    """What each modality's own layer makes of its numbers. [B, E ...] -> [B, M, D]."""
    heard = [
        torch.tanh(torch.addmm(dense[f"voice_bias:{name}"], seen[:, span], dense[f"voice:{name}"]))
        for name, span in fusion.spans().items()
    ]
    return torch.stack(heard, dim=1)


def present(vectors: Vectors) -> Tensor:
    """Equal shares of the modalities that are there, of all stand-ins where none is. [B, M]."""
    there = 1 - vectors.lacking
    there = there + (there.sum(dim=1, keepdim=True) == 0)
    return there / there.sum(dim=1, keepdim=True)
