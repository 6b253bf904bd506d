"""The way of a folded row to a reader without Kafka and Redis: Avro, the loader's decoders, records, the merge."""

import math

from msgspec import Struct

from headrace.lang.executors.fold import SequenceRow, TileRow
from headrace.lang.executors.merge import Merged, Merger, without_last
from headrace.lang.executors.topic_contracts import sequence_contracts, tile_contracts
from headrace.lang.plan.plan import EVERYTHING, HEADER_CELLS, Group, Key
from headrace.schemas.redis_keys import MEMBER_SEPARATOR, sequence_key, tiles_key
from headrace.store.redis.decode import SequenceDecoder, SequenceWrite, TileDecoder, TileWrite
from headrace.store.redis.record import TILE_ID, RecordLayout, Row
from headrace.store.redis.rows import Rows, block_of


class _Place(Struct, frozen=True):
    """Where Redis keeps something: its key, and the field of a hash."""

    key: str
    member: str | None


class Wire:
    """Keeps what the loader would write of one group, and reads as `store.reader` does."""

    def __init__(self, group: Group) -> None:
        self._group = group
        self._contracts = (tile_contracts(group), sequence_contracts(group))
        self._decoders = (TileDecoder(group), SequenceDecoder(group))
        self._layout, self._merger = RecordLayout(group), Merger(group)
        self._types = {column.name: column.type for column in group.source.event_columns}
        self.tiles: dict[_Place, dict[bytes, tuple[int, Row]]] = {}
        self.rows: dict[_Place, dict[bytes, int]] = {}

    def put(self, rows: list[TileRow | SequenceRow]) -> None:
        """Encode, decode and keep rows, the newest of each tile."""
        for row in rows:
            if isinstance(row, TileRow):
                self._keep_tile(
                    self._decoders[0].decode(self.tile_bytes(row), appended_ms=int(row.cells[1])), int(row.cells[0])
                )
            else:
                self._keep_row(self._decoders[1].decode(self.row_bytes(row), appended_ms=row.as_of))

    def read(self, keys: list[Key], *, at_ms: int) -> Merged:
        """The features of these keys, rollups left out."""
        asked = [*keys, (EVERYTHING,)] if self._group.over_all else keys
        group = self._group
        held = [self.tiles.get(self._place(tiles_key(group.name, group.version, key[0]), key)) for key in asked]
        block = self._layout.block([of and self._layout.record([row for _, row in of.values()]) for of in held])
        lists = [block_of([self._ordered(sequence.name, key) for key in asked]) for sequence in group.sequences]
        merged = self._merger.merge([block], lists, keys=len(asked), at_ms=at_ms)
        return without_last(merged) if group.over_all else merged

    def _place(self, name: str, key: Key) -> _Place:
        return _Place(name, MEMBER_SEPARATOR.join(key[1:]) if len(key) > 1 else None)

    def _entity(self, key: Key) -> dict[str, object]:
        named = zip(self._group.entity, key, strict=True)
        return {name: int(part) if self._types.get(name) in ("BIGINT", "INT") else part for name, part in named}

    def tile_bytes(self, row: TileRow) -> bytes:
        """A row as the features job writes it."""
        record: dict[str, object] = {partial.name: None for partial in self._group.partials}
        partials = self._group.families[self._group.family_of(row.size_ms)].partials
        for partial, cell in zip(partials, row.cells[HEADER_CELLS:], strict=True):
            record[partial.name] = None if math.isnan(cell) else int(cell) if partial.type == "BIGINT" else cell
        record |= {"size_ms": row.size_ms, "start_ms": row.start_ms}
        record |= {"n": int(row.cells[0]), "as_of": int(row.cells[1]), **self._entity(row.key)}
        return self._contracts[0].value.encode(record)

    def row_bytes(self, row: SequenceRow) -> bytes:
        """Likewise."""
        record = {"sequence": row.sequence, "occurred_at": row.occurred_at, "event_id": row.event_id}
        record |= {"as_of": row.as_of, "payload": row.payload, **self._entity(row.key)}
        return self._contracts[1].value.encode(record)

    def _keep_tile(self, write: TileWrite, n: int) -> None:
        tiles = self.tiles.setdefault(_Place(write.key, write.member), {})
        place = write.row.bytes[TILE_ID]
        if place not in tiles or n >= tiles[place][0]:
            tiles[place] = (n, write.row)

    def _keep_row(self, write: SequenceWrite) -> None:
        rows = self.rows.setdefault(_Place(write.key, write.member), {})
        rows[write.row] = max(rows.get(write.row, 0), write.occurred_at)
        if len(rows) > write.limit:
            order = sorted(rows, key=lambda row: (rows[row], row))
            del rows[order[-1 if write.oldest else 0]]

    def _ordered(self, sequence: str, key: Key) -> Rows:
        group = self._group
        rows = self.rows.get(self._place(sequence_key(group.name, group.version, key[0], sequence), key), {})
        newest_first = next(each for each in group.sequences if each.name == sequence).function != "first"
        ordered = sorted(((row, float(time)) for row, time in rows.items()), key=lambda row: (row[1], row[0]))
        return ordered[::-1] if newest_first else ordered
