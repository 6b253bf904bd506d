"""Exposure ⋈ feedback for one request: exactly one net label for each slot and head.

A slot is (request_id, position). The first positive of a head is written at once. When the wait ends, one row writes
the heads that are still open as negatives. A positive after that is written as a correction. Of the slots that close
without any positive a share is kept, chosen by a hash of the slot.

Whether feedback is a first row or a correction depends on its own `received_at`, so a replay writes the same labels as
the live run. The one exception is feedback overtaken by the watermark: it becomes a correction, with the same net
label.

Source: the wait-then-correct scheme of delayed feedback, Ktena et al., "Addressing Delayed Feedback for
Continuous Training with Neural Networks in CTR prediction", RecSys 2019.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from msgspec import Struct, structs

from headrace.schemas.exposures import EXPOSURE
from headrace.schemas.heads import FEEDBACK, HEADS, TABLE, Head
from headrace.schemas.samples import CORRECTION, FIRST, NEGATIVE_WEIGHT, SAMPLE, Kind, kept
from headrace.udfs.slates import ALL_HEADS, HEAD_BITS, Feedback, OpenSlate, find_slot

NEGATIVES_DROPPED, BEYOND_DAILY_LIMIT, SET_ASIDE = "negatives_dropped", "feedback_beyond_the_day", "set_aside"
COUNTERS = (NEGATIVES_DROPPED, BEYOND_DAILY_LIMIT, SET_ASIDE)  # counters of the job; `headrace status` shows them


class Label(Struct, frozen=True, kw_only=True):
    """The label of the slot at `index`: its heads and their values, as a first row or as a correction.

    `undo`: the weight of the negative that a correction takes back, set by `drop_negatives`.
    """

    index: int
    kind: Kind
    known_at: int
    heads: dict[str, float]
    weight: float
    negative_rate: float = 1.0
    undo: float = 0.0


def label_feedback(slate: OpenSlate, feedback: Feedback) -> Iterator[Label]:
    """Yield the labels that a feedback leads to, and update the state of its slot."""
    index = find_slot(slate, feedback)
    head = FEEDBACK.get(feedback.event_type)
    value = _label(head, feedback) if head else None
    if index is None or head is None or value is None or feedback.received_at > slate.forgotten_at:
        return
    if slate.positive[index] & HEAD_BITS[head.name]:
        return
    if feedback.received_at > slate.closes_at:
        yield from close_slate(slate)
    slate.positive[index] |= HEAD_BITS[head.name]
    kind = CORRECTION if slate.closed else FIRST
    known_at = max(feedback.received_at, slate.served_at)
    rate = slate.rates[index] if slate.closed else 1.0
    weight = head.event_weight if feedback.trains else 0.0
    heads = {head.name: value}
    yield Label(index=index, kind=kind, known_at=known_at, heads=heads, weight=weight, negative_rate=rate)


def close_slate(slate: OpenSlate) -> Iterator[Label]:
    """Yield the labels at the end of the wait: each slot's open heads as negatives. Does nothing the second time."""
    if slate.closed:
        return
    slate.closed = True
    slate.negative_weight = 0.0 if slate.full else NEGATIVE_WEIGHT
    for index, positive in enumerate(slate.positive):
        if positive:
            slate.rates[index] = 1.0
        if positive != ALL_HEADS:
            heads = {head: 0.0 for head in HEADS if not positive & HEAD_BITS[head]}
            yield Label(
                index=index,
                kind=FIRST,
                known_at=slate.closes_at,
                heads=heads,
                weight=slate.negative_weight,
                negative_rate=slate.rates[index],
            )


def drop_negatives(request_id: str, slate: OpenSlate, labels: Iterable[Label]) -> list[Label]:
    """The labels without the negatives that sampling drops; a correction takes back its negative if it was kept."""
    written: list[Label] = []
    for label in labels:
        was_kept = kept(request_id, slate.positions[label.index], label.negative_rate)
        if label.kind == CORRECTION and was_kept:
            written.append(structs.replace(label, undo=slate.negative_weight / label.negative_rate))
        elif any(label.heads.values()) or was_kept:
            written.append(label)
    return written


def is_urgent(label: Label) -> bool:
    """Whether the label goes to the urgent lane too: it trains, and is strong enough (`Head.urgent_from`)."""
    return label.weight > 0 and any(label.heads.get(head.name, 0.0) >= head.urgent_from for head in TABLE)


def _label(head: Head, feedback: Feedback) -> float | None:
    """What the feedback says of the head: 1, or its value in seconds; None if those are no positive number."""
    if head.kind == "logistic":
        return 1.0
    return feedback.value if feedback.value is not None and 0 < feedback.value < math.inf else None


def encode_samples(payload: bytes, slate: OpenSlate, labels: Sequence[Label]) -> Iterator[bytes]:
    """Yield a training sample for each label, with the features of its slot from the exposure."""
    exposure: dict[str, Any] = EXPOSURE.decode(payload)
    for label in labels:
        yield _sample(exposure, slate, label)


def _sample(exposure: dict[str, Any], slate: OpenSlate, label: Label) -> bytes:
    slot = exposure["slots"][label.index]
    return SAMPLE.encode(
        {
            "request_id": exposure["request_id"],
            "position": slot["position"],
            "user_id": exposure["user_id"],
            "item_id": slot["item_id"],
            "category": slot["category"],
            "kind": label.kind,
            "served_at": slate.served_at,
            "known_at": label.known_at,
            **{head: label.heads.get(head) for head in HEADS},
            "weight": label.weight,
            "negative_rate": label.negative_rate,
            "propensity": slot["propensity"],
            "served_score": slot["score"],
            "arm": exposure["arm"],
            "policy": exposure["policy"],
            "model_version": exposure["model_version"],
            "feature_set": exposure["feature_set"],
            "history": exposure["history"],
            "context": exposure["context"],
            "dense": slot["dense"],
            "content": exposure["contents"][label.index] if exposure["contents"] else b"",
            "undo": label.undo,
        }
    )
