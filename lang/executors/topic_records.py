"""Rows of a fold as records of the feature topics, as Flink writes them."""

from math import isnan

from headrace.lang.executors.flink_sql import sequence_table, tile_table
from headrace.lang.executors.fold import SequenceRow, TileRow
from headrace.lang.executors.topic_contracts import TopicContracts, sequence_contracts, tile_contracts
from headrace.lang.plan.plan import Group


class TopicRecords:
    """Encodes the rows of one group."""

    def __init__(self, group: Group) -> None:
        self._group = group
        self._tiles, self._tile_key = tile_contracts(group), tile_table(group).key
        self._sequences, self._sequence_key = sequence_contracts(group), sequence_table(group).key
        self._counts = {partial.name for partial in group.partials if partial.type == "BIGINT"}
        self._absent = {partial.name: None for partial in group.partials}

    def tile(self, row: TileRow) -> tuple[bytes, bytes]:
        """The key and the value of a tile's record."""
        group = self._group
        columns = [partial.name for partial in group.families[group.family_of(row.size_ms)].partials]
        cells = {name: None if isnan(cell) else cell for name, cell in zip(columns, row.cells[2:], strict=True)}
        named = {name: int(cell) if name in self._counts and cell is not None else cell for name, cell in cells.items()}
        head = {"size_ms": row.size_ms, "start_ms": row.start_ms, "n": int(row.cells[0]), "as_of": int(row.cells[1])}
        return _encode(self._tiles, self._tile_key, {**self._key(row), **head, **self._absent, **named})

    def sequence(self, row: SequenceRow) -> tuple[bytes, bytes]:
        """The key and the value of a sequence row's record."""
        record = {
            "sequence": row.sequence,
            "occurred_at": row.occurred_at,
            "event_id": row.event_id,
            "as_of": row.as_of,
            "payload": row.payload,
        }
        return _encode(self._sequences, self._sequence_key, self._key(row) | record)

    def _key(self, row: TileRow | SequenceRow) -> dict[str, object]:
        return dict(zip(self._group.entity, row.key, strict=True))


def _encode(contracts: TopicContracts, key: tuple[str, ...], record: dict[str, object]) -> tuple[bytes, bytes]:
    return contracts.key.encode({name: record[name] for name in key}), contracts.value.encode(record)
