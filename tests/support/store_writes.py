"""Delivers the rows of a fold to Redis: encodes them as Flink does, decodes and writes them as the loader does."""

from collections.abc import Iterable

from headrace.connections.redis_clients import Client
from headrace.lang.executors.fold import SequenceRow, TileFold, TileRow
from headrace.lang.executors.topic_records import TopicRecords
from headrace.lang.expressions.per_event import Event
from headrace.lang.plan.plan import Group
from headrace.store.redis.decode import SequenceDecoder, TileDecoder
from headrace.store.redis.writer import Writer, retention_of

Row = TileRow | SequenceRow
_LATER = 4_000_000_000_000  # append time of all rows, after every event


def rows_of(group: Group, events: Iterable[Event]) -> list[Row]:
    """Every row that a job emits for these events, in order; each tile is absolute."""
    fold = TileFold(group)
    return [row for event in events for row in fold.add(event)]


class Delivery:
    """Writes rows of one group."""

    def __init__(self, client: Client, group: Group) -> None:
        self._group = group
        self._writer, self._retention = Writer(client), retention_of(group)

    def write(self, rows: Iterable[Row], *, clock: int) -> None:
        """Write one batch."""
        rows = list(rows)
        tiles, sequences = TileDecoder(self._group), SequenceDecoder(self._group)
        refused = self._writer.write(
            [
                (self._retention, tiles.decode(self.tile(row), appended_ms=_LATER))
                for row in rows
                if isinstance(row, TileRow)
            ],
            [
                (self._retention, sequences.decode(self.sequence(row), appended_ms=_LATER))
                for row in rows
                if isinstance(row, SequenceRow)
            ],
            clock=clock,
        )
        assert refused == {}

    def tile(self, row: TileRow) -> bytes:
        """A row as the features job writes it."""
        return TopicRecords(self._group).tile(row)[1]

    def sequence(self, row: SequenceRow) -> bytes:
        """A row as the features job writes it."""
        return TopicRecords(self._group).sequence(row)[1]
