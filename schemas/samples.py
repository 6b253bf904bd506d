"""Training samples: one slot's labels, with the features it was served with.

A slot is (request_id, position). Over all rows of a slot each head is said once (`kind` first), and
once more only if a positive came after the wait had closed (`kind` correction): the later word counts.
"""

from typing import Annotated, Literal, TypeAlias

from msgspec import Struct, structs

from headrace.schemas.avro import LATER, Int32, Unreadable, contract_of
from headrace.schemas.heads import HEADS
from headrace.schemas.ids import hash64

Kind: TypeAlias = Literal["first", "correction"]
NEGATIVE_WEIGHT = 1.0  # of a row that says what stayed open
LONGEST_S = 3600.0
"""Seconds of engagement that are told apart: what lasts longer teaches, and is predicted, as this."""
FIRST: Kind = "first"
CORRECTION: Kind = "correction"
_HASHES = 1 << 63


class Sample(Struct, frozen=True, kw_only=True):
    """One row of topic `samples`.

    Attributes:
        served_at: when the slate was served, ms.
        known_at: received_at of the feedback, or served_at + wait for what stayed open, ms.
        click: 1 or 0; None if this row does not label that head. The same for `converted`.
        engagement: watch or dwell seconds, >= 0. The fields of the heads of `schemas.heads` have their names.
        weight: loss weight of the row; 0 where the user's day has no room left.
        negative_rate: share of negatives kept, in (0, 1]; a negative's weight is divided by it.
        undo: of a correction: the total weight of the slot's negatives; the learner undoes that much.
        dense: F float32, little endian, as served. `content`: the item's vectors, likewise (`models.content`).
        served_score: click chance that the ranker gave when it served the slot.
    """

    request_id: str
    position: Int32
    user_id: str
    item_id: str
    category: str
    kind: Kind
    served_at: int
    known_at: int
    click: float | None
    converted: float | None
    engagement: float | None
    weight: float
    negative_rate: float
    propensity: float
    served_score: float
    arm: str
    policy: str
    model_version: str
    feature_set: str
    history: list[str]
    context: dict[str, str]
    dense: bytes
    content: Annotated[bytes, LATER] = b""
    undo: Annotated[float, LATER] = 0.0

    @property
    def labels(self) -> tuple[float | None, ...]:
        """The labels by head, [H]."""
        return tuple(getattr(self, name) for name in HEADS)

    def payload(self) -> bytes:
        """The record's value on the topic."""
        return SAMPLE.encode(structs.asdict(self))


def kept(request_id: str, position: int, rate: float) -> bool:
    """Whether the negative of a slot is among the share that is kept; a replay keeps the same ones.

    >>> kept("r", 0, 1.0), sum(kept("r", position, 0.25) for position in range(1000))
    (True, 255)
    """
    return hash64(f"{request_id}/{position}") < rate * _HASHES


SAMPLE = contract_of(Sample)


def decode_sample(value: bytes) -> Sample | None:
    """Decode a record of topic `samples`; None if it is not a sample."""
    try:
        return Sample(**SAMPLE.decode(value))
    except (Unreadable, TypeError):
        return None
