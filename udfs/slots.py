"""Exposure ⋈ feedback for one request: exactly one net label for each slot and head.

A slot is (request_id, position). The first positive of a head is said at once; when the wait closes, one
row says the heads still open, as negatives; a positive after that is said once more, as a correction.
Which of these a feedback is follows from its own `received_at`, so a replay labels as live did; only a
feedback overtaken by the watermark turns from a first row into a correction, with the same net label.

Source: the wait-then-correct scheme of delayed feedback, Ktena et al., "Addressing Delayed Feedback for
Continuous Training with Neural Networks in CTR prediction", RecSys 2019.
"""

from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from schemas.exposures import EXPOSURE
from schemas.samples import HEADS, SAMPLE, Head

FEEDBACK_HEADS: dict[str, Head] = {"click": "click", "purchase": "converted", "dwell": "engagement"}
WEIGHTS: dict[Head, float] = {"click": 3.0, "converted": 10.0, "engagement": 1.0}
NEGATIVE_WEIGHT = 1.0
_BIT: dict[Head, int] = {head: 1 << place for place, head in enumerate(HEADS)}
_ALL_SAID = (1 << len(HEADS)) - 1


class Feedback(Struct, frozen=True, kw_only=True):
    """What a user did with something served; `value` is seconds for a dwell."""

    request_id: str | None
    item_id: str | None
    position: int | None
    session_id: str | None
    event_type: str
    value: float | None
    received_at: int


class Slate(Struct, kw_only=True):
    """State of one served request. `positive` holds a bit for each head already said positive, by slot."""

    payload: bytes
    served_at: int
    closes_at: int
    forgotten_at: int
    session_id: str
    items: list[str]
    positions: list[int]
    positive: list[int]
    closed: bool = False


def open_slate(payload: bytes, *, wait_ms: int, correction_ms: int) -> Slate | None:
    """The state of a newly served request; None if its slate is not to be learned from."""
    exposure = EXPOSURE.decode(payload)
    if not exposure["trainable"]:
        return None
    served_at = exposure["received_at"]
    slots = exposure["slots"]
    return Slate(
        payload=payload,
        served_at=served_at,
        closes_at=served_at + wait_ms,
        forgotten_at=served_at + wait_ms + correction_ms,
        session_id=exposure["session_id"],
        items=[slot["item_id"] for slot in slots],
        positions=[slot["position"] for slot in slots],
        positive=[0] * len(slots),
    )


def slot_of(slate: Slate, feedback: Feedback) -> int | None:
    """Index of the slot a feedback speaks of: by position, else the first one with its item."""
    if feedback.position is not None and feedback.position in slate.positions:
        index = slate.positions.index(feedback.position)
        if feedback.item_id in (None, slate.items[index]):
            return index
    if feedback.item_id is not None and feedback.item_id in slate.items:
        return slate.items.index(feedback.item_id)
    return None


def answer(slate: Slate, feedback: Feedback) -> Iterator[bytes]:
    """Samples that a feedback brings forth; changes the state of its slot."""
    index = slot_of(slate, feedback)
    head = FEEDBACK_HEADS.get(feedback.event_type)
    value = _label(feedback)
    if index is None or head is None or value is None or feedback.received_at > slate.forgotten_at:
        return
    if slate.positive[index] & _BIT[head]:
        return
    if feedback.received_at > slate.closes_at:
        yield from close(slate)
    slate.positive[index] |= _BIT[head]
    kind = "correction" if slate.closed else "first"
    known_at = max(feedback.received_at, slate.served_at)
    yield _sample(slate, index, kind=kind, known_at=known_at, labels={head: value}, weight=WEIGHTS[head])


def close(slate: Slate) -> Iterator[bytes]:
    """The rows that end the wait: for each slot the heads still open, as negatives. Once only."""
    if slate.closed:
        return
    slate.closed = True
    for index, positive in enumerate(slate.positive):
        if positive != _ALL_SAID:
            labels: dict[Head, float] = {head: 0.0 for head in HEADS if not positive & _BIT[head]}
            yield _sample(slate, index, kind="first", known_at=slate.closes_at, labels=labels, weight=NEGATIVE_WEIGHT)


def _label(feedback: Feedback) -> float | None:
    if feedback.event_type != "dwell":
        return 1.0
    return feedback.value if feedback.value is not None and feedback.value > 0 else None


def _sample(slate: Slate, index: int, *, kind: str, known_at: int, labels: dict[Head, float], weight: float) -> bytes:
    exposure: dict[str, Any] = EXPOSURE.decode(slate.payload)
    slot = exposure["slots"][index]
    return SAMPLE.encode(
        {
            "request_id": exposure["request_id"],
            "position": slot["position"],
            "user_id": exposure["user_id"],
            "item_id": slot["item_id"],
            "category": slot["category"],
            "kind": kind,
            "served_at": slate.served_at,
            "known_at": known_at,
            **{head: labels.get(head) for head in HEADS},
            "weight": weight,
            "negative_rate": 1.0,
            "propensity": slot["propensity"],
            "served_score": slot["score"],
            "arm": exposure["arm"],
            "policy": exposure["policy"],
            "model_version": exposure["model_version"],
            "feature_set": exposure["feature_set"],
            "history": exposure["history"],
            "context": exposure["context"],
            "dense": slot["dense"],
        }
    )
