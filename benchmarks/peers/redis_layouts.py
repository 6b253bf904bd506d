"""Three layouts of an entity's tiles in Redis, with the same interface."""

import struct
from collections import defaultdict
from collections.abc import Sequence
from typing import Protocol, cast

import numpy as np
import redis

from headrace.lang.executors.fold import TileRow
from headrace.lang.executors.merge import TileBlock
from headrace.lang.plan.plan import Group
from headrace.schemas.redis_keys import tiles_key
from headrace.store.redis.decode import TileWrite
from headrace.store.redis.record import CELL_BYTES, RecordLayout, Row
from headrace.store.redis.writer import MERGE, Writer, retention_of

_LIFE_MS = 10**9


class TileLayout(Protocol):
    """A layout for the tiles of one group."""

    def key(self, owner: str) -> str:
        """The Redis key of an entity."""
        ...

    def write(self, tiles: Sequence[TileRow], *, clock: int) -> None:
        """Write tiles in one round trip; a tile with a smaller n never replaces one with a larger n."""
        ...

    def read(self, owners: Sequence[str]) -> TileBlock:
        """Read the tiles in one round trip."""
        ...


class FieldPerTile:
    """A HASH, field = size and start, value = n, as_of and partials as f64: the layout of docs/adr/0004."""

    _SCRIPT = """
    for i = 2, #ARGV, 2 do
      local stored = redis.call('HGET', KEYS[1], ARGV[i])
      if not stored or struct.unpack('<d', stored) <= struct.unpack('<d', ARGV[i + 1]) then
        redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
      end
    end
    if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
    """

    def __init__(self, client: redis.Redis, group: Group) -> None:
        self._client, self._group = client, group
        self._script = client.register_script(self._SCRIPT)
        self._field = struct.Struct("<IQ")

    def key(self, owner: str) -> str:
        """The Redis key of an entity."""
        return f"tile:{{{owner}}}"

    def write(self, tiles: Sequence[TileRow], *, clock: int) -> None:
        """Write tiles, and keep expired ones, which the other layouts remove on write."""
        del clock
        pairs: dict[str, list[bytes]] = defaultdict(list)
        for tile in tiles:
            field = self._field.pack(tile.size_ms // 1000, tile.start_ms)
            pairs[tile.key[0]] += [field, struct.pack(f"<{len(tile.cells)}d", *tile.cells)]
        pipeline = self._client.pipeline(transaction=False)
        for owner, each in pairs.items():
            self._script(keys=[self.key(owner)], args=[_LIFE_MS, *each], client=pipeline)
        pipeline.execute()

    def read(self, owners: Sequence[str]) -> TileBlock:
        """Read tile by tile."""
        pipeline = self._client.pipeline(transaction=False)
        for owner in owners:
            pipeline.hgetall(self.key(owner))
        tiles: list[tuple[int, int, int, int]] = []
        values: list[bytes] = []
        at = 0
        for owner_index, fields in enumerate(cast("list[dict[bytes, bytes]]", pipeline.execute())):
            for field, value in fields.items():
                size_s, start_ms = self._field.unpack(field)
                tiles.append((owner_index, size_s * 1000, start_ms, at))
                values.append(value)
                at += len(value) // CELL_BYTES
        return TileBlock(
            *np.array(tiles, np.int64).reshape(-1, 4).T.copy(), np.frombuffer(bytearray().join(values), "<f8")
        )


class FieldPerFamily:
    """A HASH, field = family, value = its rows, merged by the store's own script."""

    _SCRIPT = """
    for family, stride in ipairs(strides) do
      local rows, field = ARGV[3 + family], family - 1
      if #rows > 0 then
        redis.call('HSET', KEYS[1], field, written(redis.call('HGET', KEYS[1], field) or '', rows, stride))
      end
    end
    if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
    """

    def __init__(self, client: redis.Redis, group: Group) -> None:
        self._client, self._layout, self._spans = client, RecordLayout(group), retention_of(group)
        self._script = client.register_script(MERGE + self._SCRIPT)
        self._families = range(len(group.families))

    def key(self, owner: str) -> str:
        """The Redis key of an entity."""
        return f"family:{{{owner}}}"

    def write(self, tiles: Sequence[TileRow], *, clock: int) -> None:
        """Write all rows of a family at once."""
        rows: dict[str, list[bytes]] = defaultdict(lambda: [b""] * len(self._families))
        for tile in tiles:
            row = row_of(self._layout, tile)
            rows[tile.key[0]][row.family] += row.bytes
        arguments = [_LIFE_MS, self._spans.strides, self._spans.oldest_slots(clock)]
        pipeline = self._client.pipeline(transaction=False)
        for owner, each in rows.items():
            self._script(keys=[self.key(owner)], args=[*arguments, *each], client=pipeline)
        pipeline.execute()

    def read(self, owners: Sequence[str]) -> TileBlock:
        """Read with one HMGET per entity."""
        pipeline = self._client.pipeline(transaction=False)
        for owner in owners:
            pipeline.execute_command("HMGET", self.key(owner), *self._families)
        found = cast("list[list[bytes | None]]", pipeline.execute())
        return self._layout.block([self._record(sections) for sections in found])

    def _record(self, sections: Sequence[bytes | None]) -> bytes:
        counts = [len(rows or b"") // stride for rows, stride in zip(sections, self._layout.strides, strict=True)]
        return struct.pack(f"<{len(counts)}I", *counts) + b"".join(rows or b"" for rows in sections)


class OneRecord:
    """A STRING with one record: the layout of the store."""

    def __init__(self, client: redis.Redis, group: Group) -> None:
        self._client, self._group = client, group
        self._layout, self._spans, self._writer = RecordLayout(group), retention_of(group), Writer(client)

    def key(self, owner: str) -> str:
        """The Redis key of an entity."""
        return tiles_key(self._group.name, self._group.version, owner)

    def write(self, tiles: Sequence[TileRow], *, clock: int) -> None:
        """Write as the loader does."""
        rows = ((tile, row_of(self._layout, tile)) for tile in tiles)
        writes = [
            TileWrite(self.key(tile.key[0]), None, row, int(tile.cells[1]), tile.start_ms + tile.size_ms)
            for tile, row in rows
        ]
        self._writer.write([(self._spans, write) for write in writes], [], clock=clock)

    def read(self, owners: Sequence[str]) -> TileBlock:
        """Read with one MGET for all entities."""
        return self._layout.block(cast("list[bytes | None]", self._client.mget([self.key(owner) for owner in owners])))


def row_of(layout: RecordLayout, tile: TileRow) -> Row:
    """A tile as a row of a record."""
    cells = tile.cells
    return layout.row(tile.size_ms, tile.start_ms, n=int(cells[0]), as_of=int(cells[1]), partials=cells[2:])
