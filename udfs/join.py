# pyright: reportArgumentType=false, reportIncompatibleMethodOverride=false, reportOperatorIssue=false
# (a Row is typed as holding anything, a timer as emitting nothing, a watermark as None)
"""The keyed process function of the samples job: one user's slates and the feedback on them.

Keyed by user, not by request: a feedback without a request id then finds the user's latest slot with its
item at hand. State per user: a book of what is open, and the exposures' payloads by request. A look at state is
a round trip to the JVM, so the book is one value, and a payload is only read when there is something to say.

Negatives come when the watermark has passed the wait, positives at once. While a backlog is read, the
watermark stands where the slowest partition is, and positives would run minutes ahead of the negatives beside
them. So feedback more than half a wait ahead of the watermark is put off to its own time: `samples` comes out
level, whatever the order in which partitions were read. Feedback that names no request is always put off: which
slate was the latest is known when the watermark has come to it.

A record that cannot be joined becomes a row for topic `quarantine`, with its place and reason, and changes nothing.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

import msgspec
from pyflink.common import Row, Types
from pyflink.datastream import KeyedProcessFunction, RuntimeContext
from pyflink.datastream.state import MapStateDescriptor, ValueStateDescriptor

from schemas.breaker import Breaker
from schemas.dead_letter import DEAD, REASON_CHARS, reason_of
from schemas.events import BOT
from schemas.limits import RECORD_BYTES
from schemas.topics import EXPOSURES
from udfs.labels import (
    BEYOND_THE_DAY,
    NEGATIVES_DROPPED,
    SET_ASIDE,
    Book,
    Feedback,
    Label,
    Slate,
    answer,
    close,
    day_over,
    is_urgent,
    samples,
    slate_of,
    thinned,
)
from udfs.served import TooMany, Unusable, exposure_of

_OF_FEEDBACK = ("request_id", "item_id", "position", "session_id", "event_type", "value", "received_at")
PLACE = ("topic", "partition", "offset", "at")
"""Of the record on its topic; `at` is the append time, ms."""
INPUT = ("user_id", "exposure", *_OF_FEEDBACK, *PLACE)
"""`received_at` is NULL where the record's own time is implausible or ahead of its append time."""
OUTPUT = Types.ROW_NAMED(
    ["request_id", "record", "urgent", "aside"],
    [Types.STRING(), Types.PRIMITIVE_ARRAY(Types.BYTE()), Types.BOOLEAN(), Types.BOOLEAN()],
)
"""`aside`: no sample but a letter of topic `quarantine`, and `request_id` its key."""
_decode = msgspec.msgpack.Decoder(Book).decode
_encode = msgspec.msgpack.Encoder().encode


class JoinSlots(KeyedProcessFunction):
    """Rows of `INPUT` (an exposure, or a feedback) → rows of `OUTPUT`."""

    def __init__(self, *, wait_ms: int, correction_ms: int, negative_rate: float) -> None:
        self._wait_ms = wait_ms
        self._negative_rate = negative_rate
        self._correction_ms = correction_ms
        self._lead_ms = wait_ms // 2

    def open(self, runtime_context: RuntimeContext) -> None:
        """Take the state handles and the counters."""
        metrics = runtime_context.get_metrics_group()
        self._dropped, self._beyond = metrics.counter(NEGATIVES_DROPPED), metrics.counter(BEYOND_THE_DAY)
        self._aside, self._breaker = metrics.counter(SET_ASIDE), Breaker()
        blob = Types.PICKLED_BYTE_ARRAY()
        self._book = runtime_context.get_state(ValueStateDescriptor("book", blob))
        self._payloads = runtime_context.get_map_state(MapStateDescriptor("payloads", Types.STRING(), blob))

    def process_element(self, value: Row, ctx: KeyedProcessFunction.Context) -> Iterator[Row]:
        """Take in one exposure or one feedback.

        Raises:
            BrokenProgram: most of the last records could not be joined.
        """
        try:
            rows = self._take(value, ctx)
            self._breaker.passed()
        except Exception as error:  # whatever it is, the record is set aside and the next one is taken
            rows = [self._set_aside(error, value, payload=value["exposure"])]
        yield from rows

    def on_timer(self, timestamp: int, ctx: KeyedProcessFunction.OnTimerContext) -> Iterator[Row]:
        """Take in feedback put off to now, close the slates whose wait is over, forget what is past."""
        book = self._read()
        rows: list[Row] = []
        for feedback in book.come(timestamp):
            rows += self._contained(feedback.request_id, timestamp, lambda of=feedback: self._answer(book, of, ctx))
        for request_id in book.fallen_due(timestamp):
            rows += self._contained(request_id, timestamp, lambda of=request_id: self._fall_due(book, of, timestamp))
        book.forget_days(timestamp)
        self._write(book)
        yield from rows

    def _take(self, value: Row, ctx: KeyedProcessFunction.Context) -> list[Row]:
        """What a record brings forth. State is written last: a record that cannot be joined leaves it as it was."""
        book = self._read()
        rows: list[Row] = []
        if value["exposure"] is not None:
            rows += self._serve(book, value, ctx)
        elif value["received_at"] is None:
            message = "time: received_at is no time of a log, or lies after the record was written"
            raise Unusable(message)
        elif value["event_type"] == BOT:
            self._exclude(book, value["received_at"], ctx)
        else:
            rows += self._hear(book, Feedback(**{name: value[name] for name in _OF_FEEDBACK}), ctx)
        self._write(book)
        return rows

    def _hear(self, book: Book, told: Feedback, ctx: KeyedProcessFunction.Context) -> Iterator[Row]:
        book.check_room()
        feedback = book.admit(told)
        self._beyond.inc(not feedback.trains)
        if book.is_first_of_day(feedback):
            ctx.timer_service().register_event_time_timer(day_over(feedback.received_at))
        lead_ms = self._lead_ms if feedback.request_id else 0
        # behind what waits already, so that a slot's feedback keeps its order
        if book.put_off or feedback.received_at > ctx.timer_service().current_watermark() + lead_ms:
            book.put_off.append(feedback)
            ctx.timer_service().register_event_time_timer(feedback.received_at)
        else:
            yield from self._answer(book, feedback, ctx)

    def _exclude(self, book: Book, received_at: int, ctx: KeyedProcessFunction.Context) -> None:
        book.exclude(received_at, wait_ms=self._wait_ms)
        ctx.timer_service().register_event_time_timer(day_over(received_at))

    def _contained(self, request_id: str | None, now: int, act: Callable[[], Iterator[Row]]) -> list[Row]:
        """The rows of what falls due, or the letter that says why there are none."""
        try:
            return list(act())
        except Exception as error:  # one slate must not hold up the user's others
            place = {"topic": EXPOSURES.name, "partition": -1, "offset": -1, "at": now}
            return [self._set_aside(error, place, payload=None, key=f"{EXPOSURES.name}/{request_id}")]

    def _set_aside(self, error: Exception, place: Mapping[str, object], *, payload: bytes | None, key: str = "") -> Row:
        reason = str(error)[:REASON_CHARS] if isinstance(error, Unusable) else reason_of(error)
        kept = payload and payload[:RECORD_BYTES]  # a letter must fit into its topic
        letter = {name: place[name] for name in PLACE} | {"reason": reason, "payload": kept}
        where = key or f"{place['topic']}/{place['partition']}/{place['offset']}"
        self._aside.inc()
        if isinstance(error, TooMany):  # of one user: says nothing of the program
            self._breaker.passed()
        else:
            self._breaker.failed(where, reason)
        return Row(request_id=where, record=DEAD.encode(letter), urgent=False, aside=True)

    def _serve(self, book: Book, value: Row, ctx: KeyedProcessFunction.Context) -> Iterator[Row]:
        payload = cast(bytes, value["exposure"])
        exposure = _told_alike(value, exposure_of(payload))
        request_id: str = exposure["request_id"]
        if request_id in book.slates:
            return  # the same exposure written twice
        book.check_room()
        slate = slate_of(
            exposure, wait_ms=self._wait_ms, correction_ms=self._correction_ms, negative_rate=self._negative_rate
        )
        book.slates[request_id] = slate
        labels = [label for feedback in book.early.pop(request_id, []) for label in answer(slate, feedback)]
        yield from self._rows(request_id, slate, labels, payload=payload)
        if not slate.closed:
            self._payloads.put(request_id, payload)
        self._fall_due_at(book, request_id, times=(slate.closes_at, slate.forgotten_at), ctx=ctx)

    def _answer(self, book: Book, feedback: Feedback, ctx: KeyedProcessFunction.Context) -> Iterator[Row]:
        request_id = feedback.request_id or book.latest_request(feedback)
        if request_id is None:
            return  # nothing of ours that it could speak of
        slate = book.slate(request_id)
        if slate is not None:
            yield from self._rows(request_id, slate, list(answer(slate, feedback)))
            return
        if request_id not in book.early:
            forgotten_at = feedback.received_at + self._wait_ms + self._correction_ms
            self._fall_due_at(book, request_id, times=(forgotten_at,), ctx=ctx)
        book.early.setdefault(request_id, []).append(feedback)

    def _fall_due(self, book: Book, request_id: str, now: int) -> Iterator[Row]:
        slate = book.slate(request_id)
        if slate is None:
            book.early.pop(request_id, None)
            return
        if slate.closes_at <= now:
            yield from self._rows(request_id, slate, list(close(slate)))
        if slate.forgotten_at <= now:
            del book.slates[request_id]
            self._payloads.remove(request_id)

    @staticmethod
    def _fall_due_at(book: Book, request_id: str, *, times: tuple[int, ...], ctx: KeyedProcessFunction.Context) -> None:
        for at in times:
            book.due.append((at, request_id))
            ctx.timer_service().register_event_time_timer(at)

    def _rows(
        self, request_id: str, slate: Slate, labels: list[Label], *, payload: bytes | None = None
    ) -> Iterator[Row]:
        kept = thinned(request_id, slate, labels)
        self._dropped.inc(len(labels) - len(kept))
        if kept:
            records = samples(payload or self._payloads.get(request_id), slate, kept)
            for label, record in zip(kept, records, strict=True):
                yield Row(request_id=request_id, record=record, urgent=is_urgent(label), aside=False)

    def _read(self) -> Book:
        value = self._book.value()
        return Book() if value is None else _decode(value)

    def _write(self, book: Book) -> None:
        if book.empty():
            self._book.clear()
        else:
            self._book.update(_encode(book))


def _told_alike(value: Row, exposure: dict[str, Any]) -> dict[str, Any]:
    """The exposure, whose headers, which the job keys and times it by, must say what its record does.

    Raises:
        Unusable: they do not.
    """
    for name in ("request_id", "user_id", "received_at"):
        if value[name] != exposure[name]:
            seen = "missing or implausible," if value[name] is None else f"{value[name]!a}"[:60]
            message = f"headers: {name} is {seen} in the header, {exposure[name]!a} in the record"
            raise Unusable(message[:300])
    return exposure
