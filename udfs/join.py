# pyright: reportArgumentType=false, reportIncompatibleMethodOverride=false, reportOperatorIssue=false
# (a Row is typed as holding anything, a timer as emitting nothing, a watermark as None)
"""The keyed process function of the samples job: one user's slates and the feedback on them.

Keyed by user, not by request: a feedback without a request id then finds the user's latest slot with its
item at hand. State per user: slates by request, feedback that came before its exposure, feedback put off, and
the times at which something falls due.

Negatives come when the watermark has passed the wait, positives at once. While a backlog is read, the
watermark stands where the slowest partition is, and positives would run minutes ahead of the negatives beside
them. So feedback more than half a wait ahead of the watermark is put off to its own time: `samples` comes out
level, whatever the order in which partitions were read.
"""

from collections.abc import Iterator

import msgspec
from pyflink.common import Row, Types
from pyflink.datastream import KeyedProcessFunction, RuntimeContext
from pyflink.datastream.state import MapStateDescriptor, ValueStateDescriptor

from udfs.slots import Feedback, Slate, answer, close, open_slate, slot_of

INPUT = ("user_id", "exposure", "request_id", "item_id", "position", "session_id", "event_type", "value", "received_at")
OUTPUT = Types.ROW_NAMED(["request_id", "record"], [Types.STRING(), Types.PRIMITIVE_ARRAY(Types.BYTE())])
_slate = msgspec.msgpack.Decoder(Slate)
_feedback = msgspec.msgpack.Decoder(list[Feedback])
_due = msgspec.msgpack.Decoder(list[tuple[int, str]])
_encode = msgspec.msgpack.Encoder().encode


class JoinSlots(KeyedProcessFunction):
    """Rows of `INPUT` (an exposure, or a feedback) → rows (request_id, Avro sample)."""

    def __init__(self, *, wait_ms: int, correction_ms: int) -> None:
        self._wait_ms = wait_ms
        self._correction_ms = correction_ms
        self._lead_ms = wait_ms // 2

    def open(self, runtime_context: RuntimeContext) -> None:
        """Take the state handles."""
        text, blob = Types.STRING(), Types.PICKLED_BYTE_ARRAY()
        self._slates = runtime_context.get_map_state(MapStateDescriptor("slates", text, blob))
        self._early = runtime_context.get_map_state(MapStateDescriptor("early", text, blob))
        self._put_off = runtime_context.get_state(ValueStateDescriptor("put_off", blob))
        self._due = runtime_context.get_state(ValueStateDescriptor("due", blob))

    def process_element(self, value: Row, ctx: KeyedProcessFunction.Context) -> Iterator[Row]:
        """Take in one exposure or one feedback."""
        if value["exposure"] is not None:
            yield from self._serve(value["request_id"], value["exposure"], ctx)
        else:
            feedback = Feedback(**{name: value[name] for name in Feedback.__struct_fields__})
            if feedback.received_at > ctx.timer_service().current_watermark() + self._lead_ms:
                self._postpone(feedback, ctx)
            else:
                yield from self._answer(feedback, ctx)

    def on_timer(self, timestamp: int, ctx: KeyedProcessFunction.OnTimerContext) -> Iterator[Row]:
        """Take in feedback put off to now, close the slates whose wait is over, forget those past correction."""
        for feedback in self._come(timestamp):
            yield from self._answer(feedback, ctx)
        due = self._read_due()
        for at, request_id in due:
            if at > timestamp:
                break
            yield from self._fall_due(request_id, timestamp)
        self._write_due([entry for entry in due if entry[0] > timestamp])

    def _serve(self, request_id: str, payload: bytes, ctx: KeyedProcessFunction.Context) -> Iterator[Row]:
        if self._slates.contains(request_id):
            return  # the same exposure written twice
        slate = open_slate(payload, wait_ms=self._wait_ms, correction_ms=self._correction_ms)
        if slate is None:
            return
        rows: list[Row] = []
        for feedback in _feedback.decode(self._early.get(request_id) or b"\x90"):
            rows += self._rows(request_id, answer(slate, feedback))
        self._early.remove(request_id)
        self._slates.put(request_id, _encode(slate))
        self._fall_due_at([slate.closes_at, slate.forgotten_at], request_id, ctx)
        yield from rows

    def _answer(self, feedback: Feedback, ctx: KeyedProcessFunction.Context) -> Iterator[Row]:
        request_id = feedback.request_id or self._latest_request(feedback)
        if request_id is None:
            return  # nothing of ours that it could speak of
        state = self._slates.get(request_id)
        if state is None:
            self._keep_early(request_id, feedback, ctx)
            return
        slate = _slate.decode(state)
        rows = list(self._rows(request_id, answer(slate, feedback)))
        if rows:
            self._slates.put(request_id, _encode(slate))
        yield from rows

    def _postpone(self, feedback: Feedback, ctx: KeyedProcessFunction.Context) -> None:
        waiting = _feedback.decode(self._put_off.value() or b"\x90")
        self._put_off.update(_encode([*waiting, feedback]))
        ctx.timer_service().register_event_time_timer(feedback.received_at)

    def _come(self, now: int) -> list[Feedback]:
        """Feedback put off whose time has come, by time, and no longer in state."""
        waiting = _feedback.decode(self._put_off.value() or b"\x90")
        come = sorted((each for each in waiting if each.received_at <= now), key=lambda each: each.received_at)
        if come:
            self._put_off.update(_encode([each for each in waiting if each.received_at > now]))
        return come

    def _latest_request(self, feedback: Feedback) -> str | None:
        """The user's latest request in this session that served the item."""
        found: tuple[int, str] | None = None
        for request_id, state in self._slates.items():
            slate = _slate.decode(state)
            if slate.session_id == feedback.session_id and slot_of(slate, feedback) is not None:
                found = max(found or (0, ""), (slate.served_at, request_id))
        return found[1] if found else None

    def _keep_early(self, request_id: str, feedback: Feedback, ctx: KeyedProcessFunction.Context) -> None:
        waiting = _feedback.decode(self._early.get(request_id) or b"\x90")
        self._early.put(request_id, _encode([*waiting, feedback]))
        if not waiting:
            self._fall_due_at([feedback.received_at + self._wait_ms + self._correction_ms], request_id, ctx)

    def _fall_due(self, request_id: str, now: int) -> Iterator[Row]:
        state = self._slates.get(request_id)
        if state is None:
            self._early.remove(request_id)
            return
        slate = _slate.decode(state)
        yield from list(self._rows(request_id, close(slate)))
        if slate.forgotten_at <= now:
            self._slates.remove(request_id)
        else:
            self._slates.put(request_id, _encode(slate))

    def _fall_due_at(self, times: list[int], request_id: str, ctx: KeyedProcessFunction.Context) -> None:
        self._write_due(sorted([*self._read_due(), *((at, request_id) for at in times)]))
        for at in times:
            ctx.timer_service().register_event_time_timer(at)

    def _read_due(self) -> list[tuple[int, str]]:
        return _due.decode(self._due.value() or b"\x90")

    def _write_due(self, due: list[tuple[int, str]]) -> None:
        self._due.update(_encode(due))

    @staticmethod
    def _rows(request_id: str, records: Iterator[bytes]) -> Iterator[Row]:
        return (Row(request_id=request_id, record=record) for record in records)
