"""Exposure ⋈ feedback for one request: exactly one net label for each slot and head.

A slot is (request_id, position). The first positive of a head is said at once; when the wait closes, one
row says the heads still open, as negatives; a positive after that is said once more, as a correction. Of slots
that close without any positive a share is kept, by a hash of the slot.
Which of these a feedback is follows from its own `received_at`, so a replay labels as live did; only a
feedback overtaken by the watermark turns from a first row into a correction, with the same net label.

Source: the wait-then-correct scheme of delayed feedback, Ktena et al., "Addressing Delayed Feedback for
Continuous Training with Neural Networks in CTR prediction", RecSys 2019.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from msgspec import Struct, field, structs

from schemas.exposures import EXPLORE, EXPOSURE, NEWEST
from schemas.samples import CORRECTION, EVENT_WEIGHTS, FIRST, HEADS, NEGATIVE_WEIGHT, SAMPLE, Head, Kind, kept
from udfs.served import TooMany, exposure_of

FEEDBACK_HEADS: dict[str, Head] = {"click": "click", "purchase": "converted", "dwell": "engagement"}
TRAINING_A_DAY = 50  # feedback events of a user and UTC day; what is above, or served after them, has weight 0
MOST_OPEN = 5_000  # slates of a user, and feedback events that wait: all of it is one value of state
NEGATIVES_DROPPED, BEYOND_THE_DAY, SET_ASIDE = "negatives_dropped", "feedback_beyond_the_day", "set_aside"
COUNTERS = (NEGATIVES_DROPPED, BEYOND_THE_DAY, SET_ASIDE)  # of the job; `headrace status` shows them
_SPARED = frozenset({EXPLORE, NEWEST})  # sources whose slots are few and tell most: no negative of theirs is dropped
DEEP_S = 60.0  # a stay that says as much as a purchase that the item was right
_BIT: dict[Head, int] = {head: 1 << place for place, head in enumerate(HEADS)}
_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS
_ALL_SAID = (1 << len(HEADS)) - 1


def day_over(at_ms: int) -> int:
    """When nothing received on the same UTC day as `at_ms` comes any more, ms: an hour into the next day."""
    return (at_ms // _DAY_MS + 1) * _DAY_MS + _HOUR_MS


class Feedback(Struct, frozen=True, kw_only=True, array_like=True):
    """What a user did with something served; `value` is seconds for a dwell. `trains`: the day has room for it."""

    request_id: str | None
    item_id: str | None
    position: int | None
    session_id: str | None
    event_type: str
    value: float | None
    received_at: int
    trains: bool = True


class Slate(Struct, kw_only=True, array_like=True):
    """What is known of one served request.

    Attributes:
        positive: a bit for each head already said positive, by slot.
        rates: by slot, the share of slots like it whose negative is kept, should it close without a positive.
        full: the user's day had no room left when it was served: its negatives do not train either.
        negative_weight: what its negatives weighed, once it has closed.
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
    """What is to be said of the slot at `index`: the heads and their values, first or as a correction.

    `undo`: what the negative weighed that a correction takes back, set by `thinned`.
    """

    index: int
    kind: Kind
    known_at: int
    heads: dict[Head, float]
    weight: float
    negative_rate: float = 1.0
    undo: float = 0.0


class Book(Struct, kw_only=True, array_like=True):
    """What is open of one user.

    Attributes:
        slates: by request. `early`: feedback that came before its exposure, by request.
        put_off: feedback whose time has not come. `due`: (when, request) at which a slate closes or is forgotten.
        counts: feedback events by UTC day, until `day_over`. `full`: since when a day's slates do not train, likewise.
    """

    slates: dict[str, Slate] = field(default_factory=dict[str, Slate])
    early: dict[str, list[Feedback]] = field(default_factory=dict[str, list[Feedback]])
    put_off: list[Feedback] = field(default_factory=list[Feedback])
    due: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    counts: dict[int, int] = field(default_factory=dict[int, int])
    full: dict[int, int] = field(default_factory=dict[int, int])

    def empty(self) -> bool:
        """Whether nothing is open."""
        return not (self.slates or self.early or self.put_off or self.due or self.counts)

    def check_room(self) -> None:
        """See that one more slate or feedback has room.

        Raises:
            TooMany: it has none.
        """
        waiting = len(self.put_off) + sum(map(len, self.early.values()))
        for count, what in ((len(self.slates), "slates"), (waiting, "feedback events that wait")):
            if count >= MOST_OPEN:
                message = f"many: the user has {count} {what}, at most {MOST_OPEN} are kept"
                raise TooMany(message)

    def admit(self, feedback: Feedback) -> Feedback:
        """Count a feedback. Called in the log's order, which a replay has too, so the same ones train again."""
        day = feedback.received_at // _DAY_MS
        self.counts[day] = self.counts.get(day, 0) + 1
        if self.counts[day] == TRAINING_A_DAY:
            self.full[day] = feedback.received_at
        return feedback if self.counts[day] <= TRAINING_A_DAY else structs.replace(feedback, trains=False)

    def exclude(self, received_at: int, *, wait_ms: int) -> None:
        """Exclude a bot: neither its open slates nor the rest of its day train."""
        since = received_at - wait_ms
        for day in range(since // _DAY_MS, received_at // _DAY_MS + 1):
            self.counts[day] = max(self.counts.get(day, 0), TRAINING_A_DAY)
            self.full[day] = min(self.full.get(day, since), since)

    def is_first_of_day(self, feedback: Feedback) -> bool:
        """Whether no other feedback of its day has been counted."""
        return self.counts[feedback.received_at // _DAY_MS] == 1

    def forget_days(self, now: int) -> None:
        """Drop the counts of the days that are over; the slates of a full day remember that it was."""
        for request_id in self.slates:
            self.slate(request_id)
        self.counts = {day: count for day, count in self.counts.items() if day_over(day * _DAY_MS) > now}
        self.full = {day: at for day, at in self.full.items() if day in self.counts}

    def slate(self, request_id: str) -> Slate | None:
        """A slate, with whether the user's day was full when it was served."""
        slate = self.slates.get(request_id)
        if slate is not None:
            slate.full |= slate.served_at >= self.full.get(slate.served_at // _DAY_MS, slate.served_at + 1)
        return slate

    def come(self, now: int) -> list[Feedback]:
        """Take out the feedback whose time has come, by time."""
        come = sorted((each for each in self.put_off if each.received_at <= now), key=lambda each: each.received_at)
        self.put_off = [each for each in self.put_off if each.received_at > now]
        return come

    def fallen_due(self, now: int) -> list[str]:
        """Take out the requests that something falls due for, by time."""
        fallen = sorted(entry for entry in self.due if entry[0] <= now)
        self.due = [entry for entry in self.due if entry[0] > now]
        return [request_id for _, request_id in fallen]

    def latest_request(self, feedback: Feedback) -> str | None:
        """The latest request of a feedback's session that had served its item by then."""
        served = [
            (slate.served_at, request_id)
            for request_id, slate in self.slates.items()
            if slate.session_id == feedback.session_id
            and slate.served_at <= feedback.received_at
            and slot_of(slate, feedback) is not None
        ]
        return max(served)[1] if served else None


def open_slate(payload: bytes, *, wait_ms: int, correction_ms: int, negative_rate: float) -> Slate:
    """The state of a newly served request. Of a slate that is not to be learned from all has been said already.

    Raises:
        Unusable: the record holds no exposure that can be joined.
    """
    exposure = exposure_of(payload)
    return slate_of(exposure, wait_ms=wait_ms, correction_ms=correction_ms, negative_rate=negative_rate)


def slate_of(exposure: dict[str, Any], *, wait_ms: int, correction_ms: int, negative_rate: float) -> Slate:
    """As `open_slate`, of an exposure that can be joined."""
    trainable: bool = exposure["trainable"]
    served_at = exposure["received_at"]
    slots = exposure["slots"]
    return Slate(
        served_at=served_at,
        closes_at=served_at + wait_ms,
        forgotten_at=served_at + wait_ms + correction_ms,
        session_id=exposure["session_id"],
        items=[slot["item_id"] for slot in slots],
        positions=[slot["position"] for slot in slots],
        positive=[0 if trainable else _ALL_SAID] * len(slots),
        rates=[negative_rate if _SPARED.isdisjoint(slot["sources"]) else 1.0 for slot in slots],
        closed=not trainable,
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


def answer(slate: Slate, feedback: Feedback) -> Iterator[Label]:
    """Labels that a feedback brings forth; changes the state of its slot."""
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
    kind = CORRECTION if slate.closed else FIRST
    known_at = max(feedback.received_at, slate.served_at)
    rate = slate.rates[index] if slate.closed else 1.0
    weight = EVENT_WEIGHTS[head] if feedback.trains else 0.0
    heads: dict[Head, float] = {head: value}
    yield Label(index=index, kind=kind, known_at=known_at, heads=heads, weight=weight, negative_rate=rate)


def close(slate: Slate) -> Iterator[Label]:
    """The labels that end the wait: for each slot the heads still open, as negatives. Once only."""
    if slate.closed:
        return
    slate.closed = True
    slate.negative_weight = 0.0 if slate.full else NEGATIVE_WEIGHT
    for index, positive in enumerate(slate.positive):
        if positive:
            slate.rates[index] = 1.0
        if positive != _ALL_SAID:
            heads: dict[Head, float] = {head: 0.0 for head in HEADS if not positive & _BIT[head]}
            yield Label(
                index=index,
                kind=FIRST,
                known_at=slate.closes_at,
                heads=heads,
                weight=slate.negative_weight,
                negative_rate=slate.rates[index],
            )


def thinned(request_id: str, slate: Slate, labels: Iterable[Label]) -> list[Label]:
    """The labels without the negatives that are not kept; a correction takes back its negative where it was kept."""
    told: list[Label] = []
    for label in labels:
        was_kept = kept(request_id, slate.positions[label.index], label.negative_rate)
        if label.kind == CORRECTION and was_kept:
            told.append(structs.replace(label, undo=slate.negative_weight / label.negative_rate))
        elif any(label.heads.values()) or was_kept:
            told.append(label)
    return told


def is_urgent(label: Label) -> bool:
    """Whether a label is to be learnt before others: a purchase or a deep stay, where it trains."""
    return label.weight > 0 and (bool(label.heads.get("converted")) or label.heads.get("engagement", 0.0) >= DEEP_S)


def _label(feedback: Feedback) -> float | None:
    if feedback.event_type != "dwell":
        return 1.0
    return feedback.value if feedback.value is not None and 0 < feedback.value < math.inf else None


def samples(payload: bytes, slate: Slate, labels: Sequence[Label]) -> Iterator[bytes]:
    """A training sample for each label, with what the exposure says of its slot."""
    exposure: dict[str, Any] = EXPOSURE.decode(payload)
    for label in labels:
        yield _sample(exposure, slate, label)


def _sample(exposure: dict[str, Any], slate: Slate, label: Label) -> bytes:
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
