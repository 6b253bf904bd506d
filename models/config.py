"""The ranker's settings, its parameters' shapes, and the hash that says which versions fit which reader."""

import hashlib
import math
from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import UNSET, UnsetType

from models.inputs import DENSE, FEATURE_SET
from models.modality import Fusion, Modality
from models.table import TableConfig
from schemas.defaults import HISTORY
from schemas.samples import EVENT_WEIGHTS, HEADS, LONGEST_S

DEVICE_VARIABLE = "HEADRACE_DEVICE"
"""Where models compute, if it is set; it stands here because serving on a CPU does without torch."""
_DAY_MS = 86_400_000
TABLES = ("user", "item", "category")
STATISTICS = ("input_mean", "input_spread")
"""Dense tensors that follow the inputs instead of a gradient."""
INPUT_LIMIT = 5.0  # spreads from the mean at which a standardised input is cut off
UNIT_S = 60.0
"""Seconds of engagement that the head speaks in: its output is the logarithm of the expected minutes."""
LONGEST = math.log(LONGEST_S / UNIT_S)
"""Output beyond which no engagement is predicted, so that one wild row leaves sums finite."""
LEAD = len(HEADS)
"""A row of a table starts with one bias a head; the vector follows."""


class RankerConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the whole model. The defaults are the reference configuration that all figures are stated for.

    Attributes:
        dim: D of every embedding. `history`: L, last items looked at. `positions`: P, later ones share the last bias.
        attention: units that weigh a past item. `crosses` layers of rank `rank`. `hidden`: the MLP's layers.
        vector: V of the retrieval vectors; `temperature` divides their cosine in the softmax.
        dense_rate: Adam's step for dense tensors, with `beta_1`, `beta_2`. `clip`: longest dense gradient.
        head_weights: loss weight of click, converted, engagement; `retrieval_weight` of the sampled softmax.
        decay_ms: period after which accumulators decay; expiry is looked for as often.
        fusion: of the vectors that items come with; unset, there are none and nothing speaks of them.
    """

    dim: int = 16
    history: int = HISTORY
    positions: int = 32
    attention: int = 32
    crosses: int = 2
    rank: int = 32
    hidden: tuple[int, int] = (64, 32)
    vector: int = 16
    temperature: float = 0.1
    dense_rate: float = 0.001
    beta_1: float = 0.9
    beta_2: float = 0.999
    clip: float = 5.0
    head_weights: tuple[float, float, float] = (1.0, 1.0, 0.2)
    retrieval_weight: float = 0.1
    decay_ms: int = 6 * 3_600_000
    embedding_rate: float = 0.08
    item_admission: int = 2
    user_admission: int = 2
    item_keep_ms: int = 30 * _DAY_MS
    user_keep_ms: int = 30 * _DAY_MS
    fusion: Fusion | UnsetType = UNSET

    @property
    def width(self) -> int:
        """W, columns of a row: one bias a head, then the vector."""
        return len(HEADS) + self.dim

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """The vectors that items may come with."""
        return () if self.fusion is UNSET else self.fusion.modalities

    def tables(self) -> dict[str, TableConfig]:
        """Settings of each table."""
        alike = TableConfig(dim=self.dim, lead=len(HEADS), rate=self.embedding_rate)
        replace = msgspec.structs.replace
        return {
            "user": replace(alike, admission=self.user_admission, keep_ms=self.user_keep_ms),
            "item": replace(alike, admission=self.item_admission, keep_ms=self.item_keep_ms),
            "category": replace(alike, admission=1, keep_ms=365 * _DAY_MS),
        }

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every dense tensor. X = 6 D + F is the width of the joint input, 8 D + F with a fused vector."""
        dim, dense, heads = self.dim, len(DENSE), len(HEADS)
        joint = (6 + (0 if self.fusion is UNSET else self.fusion.pieces)) * dim + dense
        first, second = self.hidden
        crosses = {
            f"cross_{layer}_{name}": shape
            for layer in range(self.crosses)
            for name, shape in {"down": (joint, self.rank), "up": (self.rank, joint), "bias": (joint,)}.items()
        }
        return {
            **dict.fromkeys(STATISTICS, (dense,)),
            "wide": (dense, heads),
            "attend_past": (dim, self.attention),
            "attend_now": (dim, self.attention),
            "attend_both": (dim, self.attention),
            "attend_bias": (self.attention,),
            "attend_slot": (self.history,),
            "attend_out": (self.attention,),
            **crosses,
            "mlp_1": (joint, first),
            "mlp_1_bias": (first,),
            "mlp_2": (first, second),
            "mlp_2_bias": (second,),
            "head": (joint + second, heads),
            "head_bias": (heads,),
            "position": (self.positions, heads),
            "light": (dense,),
            "light_bias": (1,),
            "user_vector": (3 * dim, self.vector),
            "user_vector_bias": (self.vector,),
            "item_vector": (2 * dim, self.vector),
            "item_vector_bias": (self.vector,),
            **self.fusion_shapes(),
        }

    def fusion_shapes(self) -> dict[str, tuple[int, ...]]:
        """Those among them that are the fusion's; none where no vectors are declared."""
        return {} if self.fusion is UNSET else self.fusion.shapes(self.dim, heads=len(HEADS), vector=self.vector)

    def schema(self) -> str:
        """Hash of what a reader must share: inputs, heads, widths, shapes; not of learning rates."""
        agreed: Mapping[str, object] = {
            "feature_set": FEATURE_SET,
            "heads": HEADS,
            "labels": {"weights": EVENT_WEIGHTS, "unit_s": UNIT_S, "longest_s": LONGEST_S},
            "tables": dict.fromkeys(TABLES, self.width),
            "shapes": self.shapes(),
            "temperature": self.temperature,
            "input_limit": INPUT_LIMIT,
            **({} if self.fusion is UNSET else {"fusion": msgspec.to_builtins(self.fusion)}),
        }
        return hashlib.sha256(msgspec.json.encode(agreed, order="sorted")).hexdigest()[:16]

    def settings(self) -> str:
        """The settings as JSON text, as a manifest carries them; `RankerConfig.parse` reads it."""
        return msgspec.json.encode(self).decode()

    @staticmethod
    def parse(settings: str) -> "RankerConfig":
        """The settings that a manifest or snapshot carries.

        Raises:
            msgspec.DecodeError: the text is not the JSON of a `RankerConfig`.
        """
        return msgspec.json.decode(settings, type=RankerConfig)


def config_from_fusion(told: bytes) -> RankerConfig:
    """The reference settings for items that come with vectors; `told` is the JSON of a `Fusion`.

    Raises:
        msgspec.DecodeError: it is none; the message names the place.
    """
    return RankerConfig(fusion=msgspec.json.decode(told, type=Fusion))


class FusionError(ValueError):
    """The file of vectors cannot be followed."""


def load_ranker_config(fusion: Path | None) -> RankerConfig:
    """The settings by a file as `config_from_fusion` reads it; the reference ones without a file.

    Raises:
        FusionError: it cannot be read, or is none.
    """
    try:
        return config_from_fusion(fusion.read_bytes()) if fusion else RankerConfig()
    except (OSError, msgspec.DecodeError) as error:
        message = f"{fusion} cannot be followed: {error}; docs/vectors.md says what it holds"
        raise FusionError(message) from error
