"""The ranker's settings, the shapes of its parameters, and the hash of what a reader must share."""

import hashlib
import math
from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import UNSET, UnsetType

from headrace.models.content.modality import Fusion, Modality
from headrace.models.tables.table import TableConfig
from headrace.schemas.defaults import HISTORY
from headrace.schemas.model.heads import SHIPPED_HEADS, Heads
from headrace.schemas.model.model_file import load_model_file
from headrace.schemas.model.ranker_inputs import SHIPPED, Inputs
from headrace.schemas.samples import LONGEST_S

DEVICE_VARIABLE = "HEADRACE_DEVICE"
"""The variable that sets where models compute. Defined here because serving on a CPU does not import torch."""
_DAY_MS = 86_400_000
# Of the accumulators of items and categories, per period: 58 days halve them. What many users made of an item must
# not be undone by the next one's visit; where users come rarely, six-hour periods at 0.9 made every visit the first.
_LASTING = 0.997
TABLES = ("user", "item", "category")
STATISTICS = ("input_mean", "input_spread")
"""Dense tensors that follow the inputs instead of a gradient."""
INPUT_LIMIT = 5.0  # spreads from the mean at which a standardised input is clipped
UNIT_S = 60.0
"""Seconds per unit of a head of seconds: its output is the logarithm of the expected minutes."""
LONGEST = math.log(LONGEST_S / UNIT_S)
"""Largest output of a head of seconds, so that one extreme row leaves sums finite."""


class RankerConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the whole model. The defaults are the reference configuration of all published figures.

    Attributes:
        dim: D of every embedding. `history`: L, last items read. `positions`: P; later positions share the last bias.
        attention: units that weight a past item. `crosses` layers of rank `rank`. `hidden`: the MLP's layers.
        vector: V of the retrieval vectors; `temperature`: divides their cosine in the softmax.
        dense_rate: Adam's step for dense tensors, with `beta_1`, `beta_2`. `clip`: largest norm of the dense gradient.
        head_weights: loss weights of the heads, [H]; `retrieval_weight`: that of the sampled softmax.
        decay_ms: period of accumulator decay and of expiry.
        fusion: how item vectors enter the ranker. Unset: items carry none.
        declared: the dense inputs of the project's `model.toml`. Unset: those over the shipped groups.
        declared_heads: its heads. Unset: the shipped ones. `with_heads` sets them with their loss weights.
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
    head_weights: tuple[float, ...] = SHIPPED_HEADS.loss_weights
    retrieval_weight: float = 0.1
    decay_ms: int = 6 * 3_600_000
    embedding_rate: float = 0.08
    item_admission: int = 2
    user_admission: int = 2
    item_keep_ms: int = 30 * _DAY_MS
    user_keep_ms: int = 30 * _DAY_MS
    fusion: Fusion | UnsetType = UNSET
    declared: Inputs | UnsetType = UNSET
    declared_heads: Heads | UnsetType = UNSET

    def __post_init__(self) -> None:
        """Raises ValueError if the heads are not as many as their loss weights."""
        if len(self.head_weights) != len(self.heads.table):
            message = f"head_weights has {len(self.head_weights)} numbers, must have one for each of {self.heads.names}"
            raise ValueError(message)

    @property
    def inputs(self) -> Inputs:
        """The dense inputs, F of them with flags and ranks."""
        return SHIPPED if self.declared is UNSET else self.declared

    @property
    def heads(self) -> Heads:
        """What the ranker predicts, H heads."""
        return SHIPPED_HEADS if self.declared_heads is UNSET else self.declared_heads

    @property
    def lead(self) -> int:
        """Columns of a row before its vector: one bias per head."""
        return len(self.heads.table)

    @property
    def width(self) -> int:
        """W, columns of a row: one bias per head, then the vector."""
        return self.lead + self.dim

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """The modalities of the item vectors."""
        return () if self.fusion is UNSET else self.fusion.modalities

    def tables(self) -> dict[str, TableConfig]:
        """Return the settings of each table."""
        shared = TableConfig(dim=self.dim, lead=self.lead, rate=self.embedding_rate)
        replace = msgspec.structs.replace
        return {
            "user": replace(shared, admission=self.user_admission, keep_ms=self.user_keep_ms),
            "item": replace(
                shared, admission=self.item_admission, keep_ms=self.item_keep_ms, accumulator_decay=_LASTING
            ),
            "category": replace(shared, admission=1, keep_ms=365 * _DAY_MS, accumulator_decay=_LASTING),
        }

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of every dense tensor. X = 6 D + F is the joint input's width, 8 D + F if fused."""
        dim, dense, heads = self.dim, len(self.inputs.dense), self.lead
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
        """Return the shapes of the fusion's tensors; empty if no vectors are declared."""
        return {} if self.fusion is UNSET else self.fusion.shapes(self.dim, heads=self.lead, vector=self.vector)

    def schema(self) -> str:
        """Return the hash of what a reader must share: inputs, heads, widths, shapes; not learning rates."""
        contract: Mapping[str, object] = {
            "feature_set": self.inputs.feature_set,
            "heads": self.heads.names,
            "labels": {"weights": self.heads.event_weights, "unit_s": UNIT_S, "longest_s": LONGEST_S},
            "tables": dict.fromkeys(TABLES, self.width),
            "shapes": self.shapes(),
            "temperature": self.temperature,
            "input_limit": INPUT_LIMIT,
            **({} if self.fusion is UNSET else {"fusion": msgspec.to_builtins(self.fusion)}),
            **({} if self.declared_heads is UNSET else {"kinds": [head.kind for head in self.heads.ordered]}),
        }
        return hashlib.sha256(msgspec.json.encode(contract, order="sorted")).hexdigest()[:16]

    def with_heads(self, heads: Heads) -> "RankerConfig":
        """Return the settings with declared heads and their loss weights."""
        return msgspec.structs.replace(self, declared_heads=heads, head_weights=heads.loss_weights)

    def settings(self) -> str:
        """Return the settings as JSON text, as in a manifest; `RankerConfig.parse` reads it."""
        return msgspec.json.encode(self).decode()

    @staticmethod
    def parse(settings: str) -> "RankerConfig":
        """Parse the settings of a manifest or snapshot.

        Raises:
            msgspec.DecodeError: the text is not the JSON of a `RankerConfig`.
        """
        return msgspec.json.decode(settings, type=RankerConfig)


def config_from_fusion(fusion: bytes) -> RankerConfig:
    """Return the reference settings with the fusion declared in JSON.

    Raises:
        msgspec.DecodeError: the JSON is not a `Fusion`; the message names the field.
    """
    return RankerConfig(fusion=msgspec.json.decode(fusion, type=Fusion))


class FusionError(ValueError):
    """The file that declares the item vectors is missing or invalid."""


def load_ranker_config(fusion: Path | None, features: Path | None = None) -> RankerConfig:
    """Load the ranker config with the fusion of a file, and the inputs and heads of a folder's `model.toml`.

    Raises:
        FusionError: the file of the fusion is missing or invalid.
        ModelFileError: `model.toml` is not valid; the message lists all problems.
    """
    config = _load_fusion(fusion)
    if features is None:
        return config
    declared = load_model_file(features)
    if declared.inputs != SHIPPED:
        config = msgspec.structs.replace(config, declared=declared.inputs)
    return config if declared.heads == SHIPPED_HEADS else config.with_heads(declared.heads)


def _load_fusion(fusion: Path | None) -> RankerConfig:
    try:
        return config_from_fusion(fusion.read_bytes()) if fusion else RankerConfig()
    except (OSError, msgspec.DecodeError) as error:
        message = f"{fusion} is not a valid declaration of item vectors: {error}; see docs/vectors.md"
        raise FusionError(message) from error
