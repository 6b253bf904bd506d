"""Exposure ⋈ feedback for one request: exactly one net label for each slot and head.

A slot is (request_id, position). The first positive of a head is written at once. When the wait ends, one row writes
the heads that are still open as negatives. A positive after that is written as a correction. Of the slots that close
without any feedback a share is kept, chosen by a hash of the slot.

An event may say 0 of a head, as a dislike does. That is written at once too, as an explicit row, if the head is still
open and the event trains; after the wait the slot has said 0 already. A later positive corrects it: the later word
counts. A positive is never taken back: an event that says 0 after it changes nothing.

Whether feedback is a first row or a correction depends on its own `received_at`, so a replay writes the same labels as
the live run. The one exception is feedback overtaken by the watermark: it becomes a correction, with the same net
label.

Source: the wait-then-correct scheme of delayed feedback, Ktena et al., "Addressing Delayed Feedback for
Continuous Training with Neural Networks in CTR prediction", RecSys 2019.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from msgspec import Struct, structs

from headrace.schemas.exposures import EXPOSURE
from headrace.schemas.model.heads import SHIPPED_HEADS, Heads
from headrace.schemas.samples import CORRECTION, EXPLICIT, FIRST, HEAD_FIELDS, NEGATIVE_WEIGHT, SAMPLE, Kind, kept
from headrace.udfs.slates import Feedback, OpenSlate, find_slot

NEGATIVES_DROPPED, BEYOND_DAILY_LIMIT, SET_ASIDE = "negatives_dropped", "feedback_beyond_the_day", "set_aside"
COUNTERS = (NEGATIVES_DROPPED, BEYOND_DAILY_LIMIT, SET_ASIDE)  # counters of the job; `headrace status` shows them


class Label(Struct, frozen=True, kw_only=True):
    """The label of the slot at `index`: its heads and their values, and how they became known.

    `denied`: of a correction, the weight of the negative before it, `negative_rate` aside. `undo`: the weight that it
    takes back, set by `drop_negatives`.
    """

    index: int
    kind: Kind
    known_at: int
    heads: dict[str, float]
    weight: float
    negative_rate: float = 1.0
    denied: float = 0.0
    undo: float = 0.0


def label_feedback(slate: OpenSlate, feedback: Feedback, heads: Heads = SHIPPED_HEADS) -> Iterator[Label]:
    """Yield the labels that a feedback leads to, and update the state of its slot."""
    index = find_slot(slate, feedback)
    if index is None or feedback.received_at > slate.forgotten_at:
        return
    for head in heads.feedback.get(feedback.event_type, ()):
        value, bit = head.label(feedback.event_type, feedback.value), heads.bits[head.name]
        if value is None or slate.positive[index] & bit:
            continue
        if value:
            if feedback.received_at > slate.closes_at:
                yield from close_slate(slate, heads)
            label = _take_positive(slate, index, bit=bit, received_at=feedback.received_at)
            yield structs.replace(label, heads={head.name: value}, weight=head.event_weight if feedback.trains else 0.0)
        elif _takes_negative(slate, index, bit=bit, feedback=feedback):
            known_at = max(feedback.received_at, slate.served_at)
            yield Label(index=index, kind=EXPLICIT, known_at=known_at, heads={head.name: 0.0}, weight=NEGATIVE_WEIGHT)


def _take_positive(slate: OpenSlate, index: int, *, bit: int, received_at: int) -> Label:
    """Mark a head as positive; the label without its heads and weight."""
    was_denied = bool(slate.said(index) & bit)
    slate.positive[index] |= bit
    known_at = max(received_at, slate.served_at)
    label = Label(index=index, kind=FIRST, known_at=known_at, heads={}, weight=0.0)
    if was_denied:
        return structs.replace(label, kind=CORRECTION, denied=NEGATIVE_WEIGHT)
    if slate.closed:
        rate, denied = slate.rates[index], slate.negative_weight
        return structs.replace(label, kind=CORRECTION, negative_rate=rate, denied=denied)
    return label


def _takes_negative(slate: OpenSlate, index: int, *, bit: int, feedback: Feedback) -> bool:
    """Whether a 0 is news of a head; if so, mark it. One that would not train is left to the end of the wait."""
    if slate.closed or feedback.received_at > slate.closes_at or not feedback.trains or slate.said(index) & bit:
        return False
    slate.negative = slate.negative or [0] * len(slate.items)
    slate.negative[index] |= bit
    return True


def close_slate(slate: OpenSlate, heads: Heads = SHIPPED_HEADS) -> Iterator[Label]:
    """Yield the labels at the end of the wait: each slot's open heads as negatives. Does nothing the second time."""
    if slate.closed:
        return
    slate.closed = True
    slate.negative_weight = 0.0 if slate.full else NEGATIVE_WEIGHT
    for index in range(len(slate.items)):
        said = slate.said(index)
        if said:
            slate.rates[index] = 1.0
        if said != heads.all_bits:
            yield Label(
                index=index,
                kind=FIRST,
                known_at=slate.closes_at,
                heads={name: 0.0 for name in heads.names if not said & heads.bits[name]},
                weight=slate.negative_weight,
                negative_rate=slate.rates[index],
            )


def drop_negatives(request_id: str, slate: OpenSlate, labels: Iterable[Label]) -> list[Label]:
    """The labels without the negatives that sampling drops; a correction takes back its negative if it was kept."""
    written: list[Label] = []
    for label in labels:
        was_kept = kept(request_id, slate.positions[label.index], label.negative_rate)
        if label.kind == CORRECTION and was_kept:
            written.append(structs.replace(label, undo=label.denied / label.negative_rate))
        elif any(label.heads.values()) or was_kept:
            written.append(label)
    return written


def is_urgent(label: Label, heads: Heads = SHIPPED_HEADS) -> bool:
    """Whether the label goes to the urgent lane too: it trains, and is strong enough (`Head.urgent_from`)."""
    return label.weight > 0 and any(
        label.heads.get(head.name, 0.0) >= head.urgent_from for head in heads.table if head.urgent_from is not None
    )


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
            **{name: label.heads.get(name) for name in HEAD_FIELDS},
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
            "labels": {name: value for name, value in label.heads.items() if name not in HEAD_FIELDS},
        }
    )
