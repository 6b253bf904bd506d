"""Training samples: one slot's labels, with the features it was served with.

A slot is (request_id, position). Over all rows of a slot each head is said once (`kind` first, or explicit if an event
said 0), and once more only if a positive came after that (`kind` correction): the later word counts.
"""

from typing import Annotated, Literal, TypeAlias

from msgspec import Struct, field, structs

from headrace.schemas.avro import LATER, Int32, Unreadable, contract_of
from headrace.schemas.ids import hash64
from headrace.schemas.model.heads import SHIPPED_HEADS, Heads

Kind: TypeAlias = Literal["first", "explicit", "correction"]
NEGATIVE_WEIGHT = 1.0  # of a row that says what stayed open
LONGEST_S = 3600.0
"""Seconds of engagement that are told apart: what lasts longer teaches, and is predicted, as this."""
FIRST: Kind = "first"
EXPLICIT: Kind = "explicit"
"""Of a 0 that an event said, as a dislike does; unlike that of a first row, it does not show that a slot is closed."""
CORRECTION: Kind = "correction"
HEAD_FIELDS = SHIPPED_HEADS.names
"""The heads that have a field in `Sample`; the labels of others are in its map."""
_HASHES = 1 << 63


class Sample(Struct, frozen=True, kw_only=True):
    """One row of topic `samples`.

    Attributes:
        served_at: when the slate was served, ms.
        known_at: received_at of the feedback, or served_at + wait for what stayed open, ms.
        click: 1 or 0; None if this row does not label that head. The same for `converted`.
        engagement: watch or dwell seconds, >= 0.
        labels: the labels of heads with other names, by head; without those that this row does not label.
        weight: loss weight of the row; 0 where the user's day has no room left.
        negative_rate: share of negatives kept, in (0, 1]; a negative's weight is divided by it.
        undo: of a correction: the total weight of the slot's negatives; the learner undoes that much.
        dense: F float32, little endian, as served. `content`: the item's vectors, likewise (`models.content.vectors`).
        served_score: chance of the score head that the ranker gave when it served the slot.
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
    labels: Annotated[dict[str, float], LATER] = field(default_factory=dict[str, float])

    def label(self, head: str) -> float | None:
        """The label of a head; None if this row does not label it."""
        return getattr(self, head) if head in HEAD_FIELDS else self.labels.get(head)

    def labels_of(self, heads: Heads) -> tuple[float | None, ...]:
        """The labels by head, [H]."""
        return tuple(self.label(name) for name in heads.names)

    @property
    def said(self) -> dict[str, float]:
        """The heads that this row labels, whatever they are called, and their labels."""
        fields = {name: getattr(self, name) for name in HEAD_FIELDS}
        return {name: label for name, label in (fields | self.labels).items() if label is not None}

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
