# pyright: reportArgumentType=false, reportIncompatibleMethodOverride=false, reportOperatorIssue=false
# (PyFlink's stubs type a Row's values as anything, a timer's output as nothing, and the watermark as None)
"""The keyed process function of the samples job: one user's slates and the feedback on them.

Keyed by user, not by request, so that feedback without a request id finds the user's latest slot with its item. The
state of a user is a `UserState` and the payloads of its exposures by request. Each access to state is a round trip to
the JVM, so `UserState` is a single value, and a payload is read only when there is a label to write.

Negatives are emitted when the watermark has passed the wait, positives at once. During a backlog the watermark follows
the slowest partition, and positives would run minutes ahead of the negatives from the same time. Feedback more than
half a wait ahead of the watermark is therefore deferred to its own time: `samples` stays in order of time, in whatever
order the partitions are read. Feedback without a request id is always deferred: which slate was the latest is known
only once the watermark has reached it.

A record that cannot be joined becomes a row for topic `quarantine`, with its origin and the reason. It leaves the state
unchanged.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, cast

import msgspec
from pyflink.common import Row, Types
from pyflink.datastream import KeyedProcessFunction, RuntimeContext
from pyflink.datastream.state import MapStateDescriptor, ValueStateDescriptor

from headrace.schemas.breaker import Breaker
from headrace.schemas.dead_letter import DEAD, REASON_CHARS, reason_of
from headrace.schemas.events import BOT
from headrace.schemas.limits import RECORD_BYTES
from headrace.schemas.model.heads import SHIPPED_HEADS, Heads
from headrace.schemas.topics import EXPOSURES
from headrace.udfs.labels import (
    BEYOND_DAILY_LIMIT,
    NEGATIVES_DROPPED,
    SET_ASIDE,
    Label,
    close_slate,
    drop_negatives,
    encode_samples,
    is_urgent,
    label_feedback,
)
from headrace.udfs.served import TooMany, Unusable, decode_exposure
from headrace.udfs.slates import Feedback, OpenSlate, new_slate
from headrace.udfs.user_state import UserState, day_end_ms

_FEEDBACK = ("request_id", "item_id", "position", "session_id", "event_type", "value", "received_at")
ORIGIN = ("topic", "partition", "offset", "at")
"""Where the record is in the log; `at` is its append time, ms."""
INPUT = ("user_id", "exposure", *_FEEDBACK, *ORIGIN)
"""`received_at` is NULL where the record's own time is implausible or ahead of its append time."""
OUTPUT = Types.ROW_NAMED(
    ["request_id", "record", "urgent", "aside"],
    [Types.STRING(), Types.PRIMITIVE_ARRAY(Types.BYTE()), Types.BOOLEAN(), Types.BOOLEAN()],
)
"""`aside`: the row is a dead letter for topic `quarantine`, not a sample, and `request_id` is its key."""
_decode = msgspec.msgpack.Decoder(UserState).decode
_encode = msgspec.msgpack.Encoder().encode


class JoinSlots(KeyedProcessFunction):
    """Rows of `INPUT` (an exposure or a feedback) → rows of `OUTPUT`, by the heads of the project."""

    def __init__(self, *, wait_ms: int, correction_ms: int, negative_rate: float, heads: Heads = SHIPPED_HEADS) -> None:
        self._wait_ms = wait_ms
        self._negative_rate = negative_rate
        self._correction_ms = correction_ms
        self._lead_ms = wait_ms // 2
        self._heads = heads

    def open(self, runtime_context: RuntimeContext) -> None:
        """Get the state handles and the counters."""
        metrics = runtime_context.get_metrics_group()
        self._dropped, self._beyond = metrics.counter(NEGATIVES_DROPPED), metrics.counter(BEYOND_DAILY_LIMIT)
        self._aside, self._breaker = metrics.counter(SET_ASIDE), Breaker()
        blob = Types.PICKLED_BYTE_ARRAY()
        self._state = runtime_context.get_state(ValueStateDescriptor("book", blob))
        self._payloads = runtime_context.get_map_state(MapStateDescriptor("payloads", Types.STRING(), blob))

    def process_element(self, value: Row, ctx: KeyedProcessFunction.Context) -> Iterator[Row]:
        """Process one exposure or one feedback.

        Raises:
            BrokenProgram: most of the last records could not be joined.
        """
        try:
            rows = self._process(value, ctx)
            self._breaker.count_passed()
        except Exception as error:  # whatever it is, set the record aside and continue with the next one
            rows = [self._set_aside(error, value, payload=value["exposure"])]
        yield from rows

    def on_timer(self, timestamp: int, ctx: KeyedProcessFunction.OnTimerContext) -> Iterator[Row]:
        """Process the feedback deferred to now, close slates whose wait is over, and drop expired state."""
        state = self._read()
        rows: list[Row] = []
        for feedback in state.take_ready(timestamp):
            label = partial(self._label, state, feedback, ctx)
            rows += self._catch_errors(feedback.request_id, timestamp, label)
        for request_id in state.take_due(timestamp):
            rows += self._catch_errors(request_id, timestamp, partial(self._expire, state, request_id, timestamp))
        state.forget_days(timestamp)
        self._write(state)
        yield from rows

    def _process(self, value: Row, ctx: KeyedProcessFunction.Context) -> list[Row]:
        """The rows that a record leads to. State is written last, so that a record that fails leaves it unchanged."""
        state = self._read()
        rows: list[Row] = []
        if value["exposure"] is not None:
            rows += self._add_exposure(state, value, ctx)
        elif value["received_at"] is None:
            message = "time: received_at is not a plausible time, or is after the time the record was written"
            raise Unusable(message)
        elif value["event_type"] == BOT:
            self._exclude(state, value["received_at"], ctx)
        else:
            rows += self._add_feedback(state, Feedback(**{name: value[name] for name in _FEEDBACK}), ctx)
        self._write(state)
        return rows

    def _add_feedback(self, state: UserState, feedback: Feedback, ctx: KeyedProcessFunction.Context) -> Iterator[Row]:
        state.check_room()
        feedback = state.admit(feedback)
        self._beyond.inc(not feedback.trains)
        if state.is_first_of_day(feedback):
            ctx.timer_service().register_event_time_timer(day_end_ms(feedback.received_at))
        lead_ms = self._lead_ms if feedback.request_id else 0
        # queue behind deferred feedback, so that a slot's feedback keeps its order
        if state.deferred or feedback.received_at > ctx.timer_service().current_watermark() + lead_ms:
            state.deferred.append(feedback)
            ctx.timer_service().register_event_time_timer(feedback.received_at)
        else:
            yield from self._label(state, feedback, ctx)

    def _exclude(self, state: UserState, received_at: int, ctx: KeyedProcessFunction.Context) -> None:
        state.exclude(received_at, wait_ms=self._wait_ms)
        ctx.timer_service().register_event_time_timer(day_end_ms(received_at))

    def _catch_errors(self, request_id: str | None, now: int, act: Callable[[], Iterator[Row]]) -> list[Row]:
        """The rows that `act` yields, or a dead letter if it raises."""
        try:
            return list(act())
        except Exception as error:  # one slate must not hold up the user's others
            origin = {"topic": EXPOSURES.name, "partition": -1, "offset": -1, "at": now}
            return [self._set_aside(error, origin, payload=None, key=f"{EXPOSURES.name}/{request_id}")]

    def _set_aside(
        self, error: Exception, origin: Mapping[str, object], *, payload: bytes | None, key: str = ""
    ) -> Row:
        reason = str(error)[:REASON_CHARS] if isinstance(error, Unusable) else reason_of(error)
        kept = payload and payload[:RECORD_BYTES]  # the dead letter must fit into its topic
        dead_letter = {name: origin[name] for name in ORIGIN} | {"reason": reason, "payload": kept}
        where = key or f"{origin['topic']}/{origin['partition']}/{origin['offset']}"
        self._aside.inc()
        if isinstance(error, TooMany):  # one user's load, not a sign of a broken program
            self._breaker.count_passed()
        else:
            self._breaker.count_failed(where, reason)
        return Row(request_id=where, record=DEAD.encode(dead_letter), urgent=False, aside=True)

    def _add_exposure(self, state: UserState, value: Row, ctx: KeyedProcessFunction.Context) -> Iterator[Row]:
        payload = cast(bytes, value["exposure"])
        exposure = decode_exposure(payload)
        _check_headers(value, exposure)
        request_id: str = exposure["request_id"]
        if request_id in state.slates:
            return  # the same exposure written twice
        state.check_room()
        slate = new_slate(
            exposure,
            wait_ms=self._wait_ms,
            correction_ms=self._correction_ms,
            negative_rate=self._negative_rate,
            heads=self._heads,
        )
        state.slates[request_id] = slate
        early = state.early.pop(request_id, [])
        labels = [label for feedback in early for label in label_feedback(slate, feedback, self._heads)]
        yield from self._rows(request_id, slate, labels, payload=payload)
        if not slate.closed:
            self._payloads.put(request_id, payload)
        self._schedule(state, request_id, times=(slate.closes_at, slate.forgotten_at), ctx=ctx)

    def _label(self, state: UserState, feedback: Feedback, ctx: KeyedProcessFunction.Context) -> Iterator[Row]:
        request_id = feedback.request_id or state.latest_request(feedback)
        if request_id is None:
            return  # the user has no open slate with this item
        slate = state.slate(request_id)
        if slate is not None:
            yield from self._rows(request_id, slate, list(label_feedback(slate, feedback, self._heads)))
            return
        if request_id not in state.early:
            forgotten_at = feedback.received_at + self._wait_ms + self._correction_ms
            self._schedule(state, request_id, times=(forgotten_at,), ctx=ctx)
        state.early.setdefault(request_id, []).append(feedback)

    def _expire(self, state: UserState, request_id: str, now: int) -> Iterator[Row]:
        slate = state.slate(request_id)
        if slate is None:
            state.early.pop(request_id, None)
            return
        if slate.closes_at <= now:
            yield from self._rows(request_id, slate, list(close_slate(slate, self._heads)))
        if slate.forgotten_at <= now:
            del state.slates[request_id]
            self._payloads.remove(request_id)

    @staticmethod
    def _schedule(
        state: UserState, request_id: str, *, times: tuple[int, ...], ctx: KeyedProcessFunction.Context
    ) -> None:
        for at in times:
            state.due.append((at, request_id))
            ctx.timer_service().register_event_time_timer(at)

    def _rows(
        self, request_id: str, slate: OpenSlate, labels: list[Label], *, payload: bytes | None = None
    ) -> Iterator[Row]:
        kept = drop_negatives(request_id, slate, labels)
        self._dropped.inc(len(labels) - len(kept))
        if kept:
            records = encode_samples(payload or self._payloads.get(request_id), slate, kept)
            for label, record in zip(kept, records, strict=True):
                yield Row(request_id=request_id, record=record, urgent=is_urgent(label, self._heads), aside=False)

    def _read(self) -> UserState:
        value = self._state.value()
        state = UserState() if value is None else _decode(value)
        state.adopt(self._heads)
        return state

    def _write(self, state: UserState) -> None:
        if state.empty():
            self._state.clear()
        else:
            self._state.update(_encode(state))


def _check_headers(value: Row, exposure: dict[str, Any]) -> None:
    """Check the headers that the job keys and times an exposure by against the exposure itself.

    Raises:
        Unusable: they differ.
    """
    for name in ("request_id", "user_id", "received_at"):
        if value[name] != exposure[name]:
            seen = "missing or implausible," if value[name] is None else f"{value[name]!a}"[:60]
            message = f"headers: {name} is {seen} in the header, {exposure[name]!a} in the record"
            raise Unusable(message[:300])
