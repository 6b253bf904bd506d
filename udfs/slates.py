"""A served request that can still get labels, the feedback on it, and the slot that a feedback refers to."""

from typing import Any

from msgspec import Struct, field

from headrace.schemas.exposures import EXPLORE, NEWEST
from headrace.schemas.model.heads import SHIPPED_HEADS, Heads
from headrace.schemas.samples import NEGATIVE_WEIGHT
from headrace.udfs.served import decode_exposure

_SPARED = frozenset({EXPLORE, NEWEST})  # few slots, and the most informative: their negatives are all kept


class Feedback(Struct, frozen=True, kw_only=True, array_like=True):
    """An interaction with a served item; `value` is seconds for a dwell.

    `trains`: it is within the user's daily limit, `TRAINING_PER_DAY`.
    """

    request_id: str | None
    item_id: str | None
    position: int | None
    session_id: str | None
    event_type: str
    value: float | None
    received_at: int
    trains: bool = True


class OpenSlate(Struct, kw_only=True, array_like=True):
    """The state of one served request that can still get labels.

    Attributes:
        positive: for each slot, a bit (`Heads.bits`) for each head already written as positive.
        rates: for each slot, the share of negatives kept among slots like it, if it closes without a positive.
        full: the user had reached the daily limit when it was served, so its negatives do not train either.
        negative_weight: the weight of its negatives, set when it closes.
        negative: for each slot, a bit for each head of which an event said 0; empty while there is none.
    """

    served_at: int
    closes_at: int
    forgotten_at: int
    session_id: str
    items: list[str]
    positions: list[int]
    positive: list[int]
    rates: list[float]
    closed: bool = False
    full: bool = False
    negative_weight: float = NEGATIVE_WEIGHT
    negative: list[int] = field(default_factory=list[int])

    def said(self, index: int) -> int:
        """The bits of the heads that are already written of a slot."""
        return self.positive[index] | (self.negative[index] if self.negative else 0)


def open_slate(
    payload: bytes, *, wait_ms: int, correction_ms: int, negative_rate: float, heads: Heads = SHIPPED_HEADS
) -> OpenSlate:
    """Decode a record and open its slate. A slate that is not trainable starts closed, with all heads written.

    Raises:
        Unusable: the record is not an exposure that can be joined.
    """
    return new_slate(
        decode_exposure(payload),
        wait_ms=wait_ms,
        correction_ms=correction_ms,
        negative_rate=negative_rate,
        heads=heads,
    )


def new_slate(
    exposure: dict[str, Any], *, wait_ms: int, correction_ms: int, negative_rate: float, heads: Heads = SHIPPED_HEADS
) -> OpenSlate:
    """Open the slate of a decoded exposure; see `open_slate`."""
    trainable: bool = exposure["trainable"]
    served_at = exposure["received_at"]
    slots = exposure["slots"]
    return OpenSlate(
        served_at=served_at,
        closes_at=served_at + wait_ms,
        forgotten_at=served_at + wait_ms + correction_ms,
        session_id=exposure["session_id"],
        items=[slot["item_id"] for slot in slots],
        positions=[slot["position"] for slot in slots],
        positive=[0 if trainable else heads.all_bits] * len(slots),
        rates=[negative_rate if _SPARED.isdisjoint(slot["sources"]) else 1.0 for slot in slots],
        closed=not trainable,
    )


def find_slot(slate: OpenSlate, feedback: Feedback) -> int | None:
    """Index of the slot that the feedback refers to: by position, else the first one with its item."""
    if feedback.position is not None and feedback.position in slate.positions:
        index = slate.positions.index(feedback.position)
        if feedback.item_id in (None, slate.items[index]):
            return index
    if feedback.item_id is not None and feedback.item_id in slate.items:
        return slate.items.index(feedback.item_id)
    return None
