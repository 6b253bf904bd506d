"""A table as of any time: every record of its topic, looked up by key and time.

A regular join would emit retractions, and a temporal join would wait for watermarks. Instead, each Python worker tails
the topic and stamps each event once, with the record that was the latest when the event was received.

Each worker holds in memory the stamped columns of every record that the topic keeps. Tables change slowly; `retain` of
the stream bounds how far back they go.
"""

import logging
from bisect import bisect_left
from typing import cast

from confluent_kafka import OFFSET_BEGINNING, IsolationLevel, Message, TopicPartition
from confluent_kafka.admin import OffsetSpec  # pyright: ignore[reportPrivateImportUsage]

from headrace.connections.kafka_clients import admin
from headrace.lang.events.ticks import is_tick
from headrace.lang.plan.clean_topic import RECEIVED_AT
from headrace.lang.plan.source import Stamp
from headrace.lang.plan.table import table_of
from headrace.schemas.breaker import Breaker
from headrace.schemas.dead_letter import reason_of
from headrace.schemas.limits import DOUBLE_MOST
from headrace.store.kafka.log import LogReader, raise_any

_LOG = logging.getLogger(__name__)
_TIMEOUT_S = 10
Columns = tuple[object, ...]
Moment = tuple[int, int, int]
"""When a record was received, then its partition and offset in the log that it was written to."""


class TemporalTable:
    """The stamped columns of each key's records, in the order of their moments."""

    def __init__(self, stamp: Stamp) -> None:
        self.table = table_of(stamp.stream)
        self.columns = tuple(column.name for column in stamp.columns)
        self._lookup, self._stream = stamp.lookup, stamp.stream
        self._moments: dict[object, list[Moment]] = {}
        self._values: dict[object, list[Columns]] = {}
        self._nothing: Columns = (None,) * len(self.columns)
        self._breaker = Breaker()

    def add_record(self, payload: bytes, partition: int, offset: int) -> None:
        """Add a record of the table's topic; one that cannot be decoded is logged and skipped.

        Raises:
            BrokenProgram: too many of the last records could not be decoded.
        """
        try:
            self._add_record(payload, partition, offset)
            self._breaker.count_passed()
        except Exception as error:  # whatever it is, continue with the next record
            origin = f"topic {self.table.topic}, partition {partition}, offset {offset}"
            reason = reason_of(error)
            _LOG.warning("skipped the record at %s: %s", origin, reason)
            self._breaker.count_failed(origin, reason)

    def _add_record(self, payload: bytes, partition: int, offset: int) -> None:
        """Ticks and records without a key are ignored: no event looks them up."""
        record = self.table.contract.decode(payload)
        key = record[self._lookup]
        if key is None or (self._stream is not None and is_tick(record, self._stream)):
            return
        # In the order of the source's log: a clean topic may order the records of one key differently.
        offsets = (record.get("source_partition", partition), record.get("source_offset", offset))
        self.add(key, (record[RECEIVED_AT], *offsets), tuple(_bounded(record[column]) for column in self.columns))

    def add(self, key: object, moment: Moment, values: Columns) -> None:
        """Add the columns of one record; records may come in any order."""
        moments = self._moments.setdefault(key, [])
        index = bisect_left(moments, moment)
        moments.insert(index, moment)
        self._values.setdefault(key, []).insert(index, values)

    def at(self, key: object, received_at: int) -> Columns:
        """The columns of the latest record received no later than `received_at`; all None if there is none."""
        moments = self._moments.get(key)
        index = bisect_left(moments, (received_at + 1, -1, -1)) if moments else 0
        return self._values[key][index - 1] if index else self._nothing


def _bounded(value: object) -> object:
    """The value, or None for a number beyond an event's DOUBLE range: it would swamp every other value in a sum."""
    return None if isinstance(value, float) and not -DOUBLE_MOST <= value <= DOUBLE_MOST else value


class TableTail:
    """Reads a table's topic into a `TemporalTable`, up to the end of the topic."""

    def __init__(self, bootstrap: str, rows: TemporalTable) -> None:
        self._rows, table = rows, rows.table
        begins = dict.fromkeys(range(table.partitions), OFFSET_BEGINNING)
        self._log = LogReader(bootstrap, table.topic, begins, on_error=raise_any, settings={"fetch.wait.max.ms": 20})
        # A separate connection: on the consumer's, the reply would queue behind a fetch that waits for records.
        self._admin = admin(bootstrap)
        latest = cast(OffsetSpec, OffsetSpec.latest())  # the package types it as if it might be None
        self._ends = {TopicPartition(table.topic, p): latest for p in range(table.partitions)}

    def catch_up(self) -> None:
        """Read to the current end of the topic, so that an event sees every record committed before it."""
        committed = IsolationLevel.READ_COMMITTED
        ends = self._admin.list_offsets(self._ends, isolation_level=committed, request_timeout=_TIMEOUT_S)
        for partition, end in ends.items():
            while self._log.next[partition.partition] < end.result().offset:
                for message in self._log.read(1.0, count=1):  # with a larger count, read() waits until it has them all
                    self._take(message)

    def close(self) -> None:
        """Close the log reader."""
        self._log.close()

    def _take(self, message: Message) -> None:
        payload = message.value()
        if payload is not None:
            self._rows.add_record(payload, message.partition() or 0, message.offset() or 0)
