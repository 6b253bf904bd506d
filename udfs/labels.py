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

from msgspec import Struct, field, structs

from schemas.exposures import EXPLORE, EXPOSURE, NEWEST
from schemas.heads import FEEDBACK, HEADS, TABLE, Head
from schemas.samples import CORRECTION, FIRST, NEGATIVE_WEIGHT, SAMPLE, Kind, kept
from udfs.served import TooMany, decode_exposure

TRAINING_PER_DAY = 50  # feedback events per user and UTC day; later ones, and slates served after them, weigh 0
MOST_OPEN = 5_000  # open slates of a user, and waiting feedback events: together they are one value of state
NEGATIVES_DROPPED, BEYOND_DAILY_LIMIT, SET_ASIDE = "negatives_dropped", "feedback_beyond_the_day", "set_aside"
COUNTERS = (NEGATIVES_DROPPED, BEYOND_DAILY_LIMIT, SET_ASIDE)  # counters of the job; `headrace status` shows them
_SPARED = frozenset({EXPLORE, NEWEST})  # few slots, and the most informative: their negatives are all kept
_BIT = {head.name: 1 << index for index, head in enumerate(TABLE)}
_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS
_ALL_HEADS = (1 << len(HEADS)) - 1


def day_end_ms(at_ms: int) -> int:
    """The time after which no record received on the UTC day of `at_ms` is expected, ms: 01:00 of the next day."""
    return (at_ms // _DAY_MS + 1) * _DAY_MS + _HOUR_MS


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
        positive: for each slot, a bit for each head already written as positive.
        rates: for each slot, the share of negatives kept among slots like it, if it closes without a positive.
        full: the user had reached the daily limit when it was served, so its negatives do not train either.
        negative_weight: the weight of its negatives, set when it closes.
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


class UserState(Struct, kw_only=True, array_like=True):
    """The label join's state for one user.

    Attributes:
        slates: open slates by request.
        early: feedback that came before its exposure, by request.
        deferred: feedback whose time is ahead of the watermark.
        due: (time, request) at which a slate closes or is forgotten.
        counts: feedback events by UTC day, kept until `day_end_ms`.
        full: by UTC day, the time from which slates do not train, kept as long.
    """

    slates: dict[str, OpenSlate] = field(default_factory=dict[str, OpenSlate])
    early: dict[str, list[Feedback]] = field(default_factory=dict[str, list[Feedback]])
    deferred: list[Feedback] = field(default_factory=list[Feedback])
    due: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    counts: dict[int, int] = field(default_factory=dict[int, int])
    full: dict[int, int] = field(default_factory=dict[int, int])

    def empty(self) -> bool:
        """Whether there is nothing to keep."""
        return not (self.slates or self.early or self.deferred or self.due or self.counts)

    def check_room(self) -> None:
        """Check that one more slate or feedback fits.

        Raises:
            TooMany: the user has reached `MOST_OPEN`.
        """
        waiting = len(self.deferred) + sum(map(len, self.early.values()))
        for count, what in ((len(self.slates), "open slates"), (waiting, "waiting feedback events")):
            if count >= MOST_OPEN:
                message = f"many: the user has {count} {what}, at most {MOST_OPEN} are kept"
                raise TooMany(message)

    def admit(self, feedback: Feedback) -> Feedback:
        """Count a feedback towards the daily limit. Called in log order, so that a replay decides the same."""
        day = feedback.received_at // _DAY_MS
        self.counts[day] = self.counts.get(day, 0) + 1
        if self.counts[day] == TRAINING_PER_DAY:
            self.full[day] = feedback.received_at
        return feedback if self.counts[day] <= TRAINING_PER_DAY else structs.replace(feedback, trains=False)

    def exclude(self, received_at: int, *, wait_ms: int) -> None:
        """Exclude a bot from training: its open slates and the rest of its day."""
        since = received_at - wait_ms
        for day in range(since // _DAY_MS, received_at // _DAY_MS + 1):
            self.counts[day] = max(self.counts.get(day, 0), TRAINING_PER_DAY)
            self.full[day] = min(self.full.get(day, since), since)

    def is_first_of_day(self, feedback: Feedback) -> bool:
        """Whether this is the first feedback counted for its day."""
        return self.counts[feedback.received_at // _DAY_MS] == 1

    def forget_days(self, now: int) -> None:
        """Drop the counts of days that are over, after marking the slates of full days."""
        for request_id in self.slates:
            self.slate(request_id)
        self.counts = {day: count for day, count in self.counts.items() if day_end_ms(day * _DAY_MS) > now}
        self.full = {day: at for day, at in self.full.items() if day in self.counts}

    def slate(self, request_id: str) -> OpenSlate | None:
        """The open slate of a request, its `full` brought up to date."""
        slate = self.slates.get(request_id)
        if slate is not None:
            slate.full |= slate.served_at >= self.full.get(slate.served_at // _DAY_MS, slate.served_at + 1)
        return slate

    def take_ready(self, now: int) -> list[Feedback]:
        """Remove and return the deferred feedback up to `now`, in order of time."""
        ready = sorted((each for each in self.deferred if each.received_at <= now), key=lambda each: each.received_at)
        self.deferred = [each for each in self.deferred if each.received_at > now]
        return ready

    def take_due(self, now: int) -> list[str]:
        """Remove and return the requests due up to `now`, in order of time."""
        due = sorted(entry for entry in self.due if entry[0] <= now)
        self.due = [entry for entry in self.due if entry[0] > now]
        return [request_id for _, request_id in due]

    def latest_request(self, feedback: Feedback) -> str | None:
        """The latest request of the feedback's session that had served its item by the time of the feedback."""
        served = [
            (slate.served_at, request_id)
            for request_id, slate in self.slates.items()
            if slate.session_id == feedback.session_id
            and slate.served_at <= feedback.received_at
            and find_slot(slate, feedback) is not None
        ]
        return max(served)[1] if served else None


def open_slate(payload: bytes, *, wait_ms: int, correction_ms: int, negative_rate: float) -> OpenSlate:
    """Decode a record and open its slate. A slate that is not trainable starts closed, with all heads written.

    Raises:
        Unusable: the record is not an exposure that can be joined.
    """
    exposure = decode_exposure(payload)
    return new_slate(exposure, wait_ms=wait_ms, correction_ms=correction_ms, negative_rate=negative_rate)


def new_slate(exposure: dict[str, Any], *, wait_ms: int, correction_ms: int, negative_rate: float) -> OpenSlate:
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
        positive=[0 if trainable else _ALL_HEADS] * len(slots),
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


def label_feedback(slate: OpenSlate, feedback: Feedback) -> Iterator[Label]:
    """Yield the labels that a feedback leads to, and update the state of its slot."""
    index = find_slot(slate, feedback)
    head = FEEDBACK.get(feedback.event_type)
    value = _label(head, feedback) if head else None
    if index is None or head is None or value is None or feedback.received_at > slate.forgotten_at:
        return
    if slate.positive[index] & _BIT[head.name]:
        return
    if feedback.received_at > slate.closes_at:
        yield from close_slate(slate)
    slate.positive[index] |= _BIT[head.name]
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
        if positive != _ALL_HEADS:
            heads = {head: 0.0 for head in HEADS if not positive & _BIT[head]}
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
