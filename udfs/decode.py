"""One event in: an accepted record out, or the reason why not.

The rules, in this order: size, JSON, required columns and types, event time against `received_at`
(late, future). Whether a record passes depends on the record alone and on the time it was appended, so
a replay decides as the live run did. Types are strict: `"17"` is no number, `1.7` no integer, an array
no object, trailing bytes no JSON (tests/udfs/test_decode.py has a line for each).
"""

from typing import Annotated, Any

import msgspec

from lang.clean import RECEIVED_AT, contract
from lang.expr import ColumnType
from lang.source import Source, SourceColumn
from schemas.avro import Contract

MAX_BYTES = 256 * 1024

_PYTHON: dict[ColumnType, Any] = {
    "STRING": str,
    "BIGINT": Annotated[int, msgspec.Meta(ge=-(1 << 63), le=(1 << 63) - 1)],
    "INT": Annotated[int, msgspec.Meta(ge=-(1 << 31), le=(1 << 31) - 1)],
    "DOUBLE": float,
    "BOOLEAN": bool,
    "MAP<STRING, STRING>": dict[str, str],
}
_REQUIRED_TEXT = Annotated[str, msgspec.Meta(min_length=1)]


class Refused(Exception):
    """The record goes to the dead letters; the text is `<code>: <what was seen, what was expected>`."""


class EventDecoder:
    """Decodes the records of one source."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._type = msgspec.defstruct("Event", [_field(column) for column in source.columns], kw_only=True)
        self._json = msgspec.json.Decoder(self._type)
        self.contract: Contract = contract(source)

    def decode(self, payload: bytes | None, appended_ms: int) -> dict[str, Any]:
        """The declared columns of an accepted event, `received_at` filled in.

        Args:
            payload: the record's value as it lies in the log.
            appended_ms: the log's append time, which stands in for an absent `received_at`.

        Raises:
            Refused: the record breaks a rule.
        """
        event = self._parse(payload)
        if event.get(RECEIVED_AT) is None:
            event[RECEIVED_AT] = appended_ms
        delay_ms = event[RECEIVED_AT] - event[self._source.event_time]
        if delay_ms > self._source.lateness_ms:
            message = f"late: {delay_ms} ms after its time, at most {self._source.lateness_ms} are accepted"
            raise Refused(message)
        if -delay_ms > self._source.future_ms:
            message = f"future: {-delay_ms} ms ahead of its receipt, at most {self._source.future_ms} are accepted"
            raise Refused(message)
        return event

    def _parse(self, payload: bytes | None) -> dict[str, Any]:
        if payload is None:
            message = "null: the record has no value, a JSON object was expected"
            raise Refused(message)
        if len(payload) > MAX_BYTES:
            message = f"oversize: {len(payload)} bytes, at most {MAX_BYTES} are accepted"
            raise Refused(message)
        try:
            return msgspec.structs.asdict(self._json.decode(payload))
        except msgspec.ValidationError as error:
            code = "missing" if "missing required" in str(error) else "type"
            message = f"{code}: {error}"
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            message = f"json: {error}"
        raise Refused(message)


def _field(column: SourceColumn) -> Any:
    python = _PYTHON[column.type]
    if not column.required:
        return (column.name, python | None, None)
    return (column.name, _REQUIRED_TEXT if column.type == "STRING" else python)
