"""A served slate: one record per request, with the features that each slot was scored with."""

from typing import Annotated

from msgspec import Struct, field, structs

from headrace.schemas.avro import LATER, Int32, contract_of

HEADERS = ("received_at", "user_id", "request_id")
EXPLORE, NEWEST = "explore", "newest"  # names in `Slot.sources`: drawn at random; proposed because it is new


class Slot(Struct, frozen=True, kw_only=True):
    """One served position.

    Attributes:
        dense: F float32, little endian, in the order of `feature_set`.
        propensity: probability that the logging policy put this item here, in (0, 1].
    """

    item_id: str
    position: Int32
    score: float
    propensity: float
    sources: list[str]
    category: str
    dense: bytes


class Ranking(Struct, frozen=True, kw_only=True):
    """How the slots of a slate were ordered: what `headrace explain` shows and replays. Lists have a value per slot.

    Attributes:
        candidates: how many items were scored together.
        rows: the item's place among them. A matrix product may round a row differently in a matrix of another height,
            so a replay needs both.
        orders: the score that ordered it, as in the answer. `lifts`: the factor of its boosts in that.
        reasons: why it was proposed.
    """

    candidates: Int32
    rows: list[Int32]
    orders: list[float]
    lifts: list[float]
    reasons: list[str]


class Exposure(Struct, frozen=True, kw_only=True):
    """The slate of one request.

    Attributes:
        received_at: when it was served, ms.
        history: the user's last items as the ranker saw them, newest first.
        feature_set: hash of the names, order, shape and scale of the dense features.
        arm: the experiment arm. `policy`: the rule that ordered the slate.
        contents: the item's vectors as served, per slot (`models.content.vectors`); empty if no modality is declared.
        trainable: False if serving was too degraded to learn from the slate (`serving.stages.record.TRAINABLE`).
        ranking: how the slots were ordered; None if nothing was scored, or in records of earlier releases.
    """

    request_id: str
    user_id: str
    session_id: str
    surface: str
    received_at: int
    arm: str
    policy: str
    model_version: str
    feature_set: str
    feature_versions: dict[str, Int32]
    history: list[str]
    context: dict[str, str] = field(default_factory=dict[str, str])
    seed: int = 0
    level: Int32 = 0
    trainable: bool = True
    slots: list[Slot] = field(default_factory=list[Slot])
    contents: Annotated[list[bytes], LATER] = field(default_factory=list[bytes])
    ranking: Annotated[Ranking | None, LATER] = None

    def payload(self) -> bytes:
        """The record's value on the topic."""
        slots, ranking = [structs.asdict(slot) for slot in self.slots], self.ranking and structs.asdict(self.ranking)
        return EXPOSURE.encode({**structs.asdict(self), "slots": slots, "ranking": ranking})

    def headers(self) -> tuple[tuple[str, bytes], ...]:
        """The record's headers, which the samples job reads without decoding the slate."""
        return tuple((name, str(getattr(self, name)).encode()) for name in HEADERS)


EXPOSURE = contract_of(Exposure)
