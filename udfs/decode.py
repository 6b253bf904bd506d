"""Decode one event: return the accepted record, or raise the reason for refusing it.

The rules, in this order: size, depth, JSON, required columns and types, the source's bounds (`lang.events.bounds`),
reserved event types, event time against `received_at` (late, future). Whether a record passes depends only on the
record and its append time, so a replay decides as the live run did. Types are strict: `"17"` is not a number, `1.7` is
not an integer, an array is not an object, and trailing bytes are not JSON (tests/udfs/test_decode.py has a case for
each). If an object has a name twice, the last value counts.

Two deviations are accepted, because many clients send them. A blank text in an optional column becomes NULL. In a map,
NULLs and blanks are dropped, and numbers and booleans become their JSON text.
"""

from typing import Annotated, Any

import msgspec

from headrace.lang.events.bounds import Bounds
from headrace.lang.events.ticks import is_tick
from headrace.lang.expressions.tree import ColumnType
from headrace.lang.plan.clean_topic import RECEIVED_AT, contract
from headrace.lang.plan.source import Source, SourceColumn
from headrace.schemas.avro import Contract
from headrace.schemas.context import Int64, Sent, as_texts
from headrace.schemas.dead_letter import Reason
from headrace.schemas.events import TICK
from headrace.schemas.json_text import fault_of, is_deep
from headrace.schemas.limits import LEVELS, RECORD_BYTES

_PYTHON: dict[ColumnType, Any] = {
    "STRING": str,
    "BIGINT": Int64,
    "INT": Annotated[int, msgspec.Meta(ge=-(1 << 31), le=(1 << 31) - 1)],
    "DOUBLE": float,
    "BOOLEAN": bool,
    "MAP<STRING, STRING>": Sent,
}
_REQUIRED_TEXT = Annotated[str, msgspec.Meta(min_length=1)]


class Refused(Exception):
    """The record becomes a dead letter; the message is `<code>: <what was seen, what was expected>`.

    `pointer` is the JSON pointer to the fault in the record, empty if the fault concerns the whole record.
    """

    def __init__(self, detail: str, *, code: Reason, pointer: str = "") -> None:
        super().__init__(f"{code}: {detail}{f' - at {pointer}' if pointer else ''}")
        self.code: Reason = code
        self.detail = detail
        self.pointer = pointer


class EventDecoder:
    """Decodes the records of one source."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._type = msgspec.defstruct("Event", [_field(column) for column in source.columns], kw_only=True)
        self._json = msgspec.json.Decoder(self._type)
        self._bounds = Bounds(source)
        self._optional_texts = [each.name for each in source.columns if each.type == "STRING" and not each.required]
        self._maps = [each.name for each in source.columns if each.type.startswith("MAP")]
        self.contract: Contract = contract(source)

    def decode(self, payload: bytes | None, appended_ms: int) -> dict[str, Any]:
        """Decode the declared columns of an event and fill in `received_at`.

        Args:
            payload: the record's value in the log.
            appended_ms: the log's append time, used if `received_at` is absent.

        Raises:
            Refused: the record breaks a rule.
        """
        event = self._parse(payload)
        self._normalize(event)
        if event.get(RECEIVED_AT) is None:
            event[RECEIVED_AT] = appended_ms
        if violation := self._bounds.violation(event):
            raise Refused(violation.message, code=violation.code, pointer=f"/{violation.column}")
        kind = self._source.roles.event_type
        if is_tick(event, self._source) and event[kind] != TICK:
            message = f"event types that begin with _ are reserved: {event[kind][:60]!a}"
            raise Refused(message, code="reserved", pointer=f"/{kind}")
        delay_ms = event[RECEIVED_AT] - event[self._source.event_time]
        if delay_ms > self._source.lateness_ms:
            message = f"{delay_ms} ms after its time, at most {self._source.lateness_ms} are accepted"
            raise Refused(message, code="late")
        if -delay_ms > self._source.future_ms:
            message = f"{-delay_ms} ms ahead of its receipt, at most {self._source.future_ms} are accepted"
            raise Refused(message, code="future")
        return event

    def _parse(self, payload: bytes | None) -> dict[str, Any]:
        if payload is None:
            message = "the record has no value, a JSON object was expected"
            raise Refused(message, code="null")
        if len(payload) > RECORD_BYTES:
            message = f"{len(payload)} bytes, at most {RECORD_BYTES} are accepted"
            raise Refused(message, code="oversize")
        if is_deep(payload):
            message = f"objects or arrays lie more than {LEVELS} deep in one another"
            raise Refused(message, code="depth")
        try:
            return msgspec.structs.asdict(self._json.decode(payload))
        except msgspec.ValidationError as error:
            pointer, message = fault_of(error, payload)
            code: Reason = "missing" if "missing required" in message else "type"
            raise Refused(message, code=code, pointer=pointer) from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Refused(str(error), code="json") from error

    def _normalize(self, event: dict[str, Any]) -> None:
        for name in self._optional_texts:
            text = event[name]
            if text is not None and (not text or text.isspace()):
                event[name] = None
        for name in self._maps:
            if event[name]:
                event[name] = as_texts(event[name])


def _field(column: SourceColumn) -> Any:
    python = _PYTHON[column.type]
    if not column.required:
        return (column.name, python | None, None)
    return (column.name, _REQUIRED_TEXT if column.type == "STRING" else python)
