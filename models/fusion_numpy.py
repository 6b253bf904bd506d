"""What items' vectors tell in numpy, for serving: the same functions as `fusion`; a test holds them together."""

import numpy as np
from msgspec import UNSET, Struct

from models.array_types import Floats
from models.config import RankerConfig
from models.content import Content
from models.modality import Fusion

Dense = dict[str, Floats]


class Told(Struct, frozen=True):
    """What vectors tell: what the joint input has more, each [C, D], and what is added to the heads [C, H]."""

    pieces: tuple[Floats, ...]
    heads: Floats | None


def tell(config: RankerConfig, dense: Dense, *, content: Content | None, user: Floats, mean: Floats) -> Told:
    """What vectors tell of C candidates of a user [D] whose history has this mean [D]."""
    if config.fusion is UNSET or content is None:
        return Told((), None)
    if config.fusion.manner == "late":
        return Told((), _opinions(config.fusion, dense, content=content, user=user, mean=mean))
    fused = _fuse(config.fusion, dense, content)
    return Told((fused, fused * user), None)


def lift(config: RankerConfig, dense: Dense, content: Content | None) -> Floats | None:
    """What vectors add to the items' retrieval vectors before these are scaled to length 1. [N, V]."""
    if config.fusion is UNSET or content is None:
        return None
    return _stood_in(config.fusion, dense, content) @ dense["lift"]


def _fuse(fusion: Fusion, dense: Dense, content: Content) -> Floats:
    """One vector an item, early or gated. [N, D]."""
    seen = np.concatenate([_stood_in(fusion, dense, content), content.lacking.astype(np.float32)], axis=1)  # [N, E + M]
    if fusion.manner == "early":
        return seen @ dense["fuse"] + dense["fuse_bias"]
    logits = seen @ dense["gate"] + dense["gate_bias"]
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    return (shares[:, :, None] * _voices(fusion, dense, seen)).sum(axis=1)


def _opinions(fusion: Fusion, dense: Dense, *, content: Content, user: Floats, mean: Floats) -> Floats:
    heard = _voices(fusion, dense, _stood_in(fusion, dense, content))
    shares, total = _present(content), content.lacking @ dense["opinion_lacking"]
    for place, each in enumerate(fusion.modalities):
        voice = heard[:, place]
        about = np.concatenate([voice, voice * user, voice * mean], axis=1)
        total += shares[:, place : place + 1] * (about @ dense[f"opinion:{each.name}"] + dense["opinion_bias"][place])
    return total


def _stood_in(fusion: Fusion, dense: Dense, content: Content) -> Floats:
    missing = content.lacking.repeat([each.width for each in fusion.modalities], axis=1)  # [N, M] -> [N, E]
    return np.where(missing, dense["stand_in"], content.values)


def _voices(fusion: Fusion, dense: Dense, seen: Floats) -> Floats:
    heard = [
        np.tanh(seen[:, span] @ dense[f"voice:{name}"] + dense[f"voice_bias:{name}"])
        for name, span in fusion.spans().items()
    ]
    return np.stack(heard, axis=1)


def _present(content: Content) -> Floats:
    there = (~content.lacking).astype(np.float32)
    there[content.lacking.all(axis=1)] = 1.0
    return there / there.sum(axis=1, keepdims=True)
