"""Rows as events of a declared stream: the JSON that a client would have sent, received when they happened."""

from collections.abc import Mapping
from typing import Any

import msgspec

from headrace.importing.cells import ColumnKind
from headrace.importing.records import RefusedRow, Target
from headrace.lang.events.ticks import is_tick
from headrace.lang.expressions.tree import ColumnType
from headrace.lang.plan.clean_topic import RECEIVED_AT
from headrace.lang.plan.source import Source
from headrace.reading.times import EXPECTED
from headrace.schemas.times import AHEAD_MS, now_ms
from headrace.store.kafka.resumable_writer import OutgoingRecord
from headrace.udfs.decode import EventDecoder, Refused

_KINDS: dict[ColumnType, ColumnKind] = {
    "STRING": "text",
    "BIGINT": "whole",
    "INT": "whole",
    "DOUBLE": "number",
    "BOOLEAN": "truth",
    "MAP<STRING, STRING>": "map",
}


def _check_time(name: str, at: object) -> None:
    if isinstance(at, str):
        message = f"time: {name} is {at!r}; {EXPECTED}"
        raise RefusedRow(message)
    if isinstance(at, int) and at > now_ms() + AHEAD_MS:
        message = f"time: {name} is {at}, which is in the future; a history is of the past"
        raise RefusedRow(message)


class EventRows:
    """Makes raw events of one source, checked by ingest's own decoder."""

    def __init__(self, source: Source) -> None:
        times = (source.event_time, RECEIVED_AT)
        self.topic = source.topic
        self.targets = [
            Target(
                name=column.name,
                kind="time" if column.name in times else _KINDS[column.type],
                required=column.required and column.name != source.dedupe,
            )
            for column in source.columns
        ]
        self._source = source
        self._decoder = EventDecoder(source)

    def record(self, row: Mapping[str, Any], row_id: str) -> OutgoingRecord:
        """The event of a row; without an id of its own it has `row_id`. Raises RefusedRow."""
        happened_at = row.get(self._source.event_time)
        for name in (self._source.event_time, RECEIVED_AT):
            _check_time(name, row.get(name))
        event = {self._source.dedupe: row_id, RECEIVED_AT: happened_at, **row}
        try:
            payload = msgspec.json.encode(event)
            checked = self._decoder.decode(payload, 0)
        except Refused as refused:
            raise RefusedRow(str(refused)) from refused
        except UnicodeEncodeError as error:
            message = "text: a value has bytes that are not UTF-8"
            raise RefusedRow(message) from error
        if is_tick(checked, self._source):
            kind = checked[self._source.roles.event_type]
            message = f"reserved: event types that begin with _ are reserved: {kind[:60]!a}"
            raise RefusedRow(message)
        return OutgoingRecord(topic=self.topic, key=str(checked[self._source.key]).encode(), value=payload)
