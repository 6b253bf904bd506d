"""Records of the feature topics as writes to Redis."""

from collections.abc import Mapping
from math import nan
from typing import Any

from msgspec import Struct

from lang.avro import TopicContracts, sequence_contracts, tile_contracts
from lang.plan import Group
from lang.rows import kept, once
from schemas.redis_keys import MEMBER_SEPARATOR, pack_member, sequence_key, tiles_key
from store.record import RecordLayout, Row


class TileWrite(Struct, frozen=True):
    """One tile: its key, its member where the group has more key columns, its row, when it was last true, its end."""

    key: str
    member: str | None
    row: Row
    as_of: int
    ends_at: int


class SequenceWrite(Struct, frozen=True):
    """One row of a sequence, and its member as of a tile; the newest (or `oldest`) `limit` rows are kept."""

    key: str
    member: str | None
    occurred_at: int
    row: bytes
    limit: int
    as_of: int
    oldest: bool = False


class TileDecoder:
    """Decodes one group's tile topic."""

    def __init__(self, group: Group) -> None:
        self.group = group
        self._contracts: TopicContracts = tile_contracts(group)
        self._columns = {
            size: tuple(partial.name for partial in family.partials)
            for family in group.families
            for size in family.sizes_ms
        }
        self._layout = RecordLayout(group)

    def decode(self, payload: bytes) -> TileWrite:
        """The write that a tile record asks for.

        Raises:
            KeyError: the tile's size is none of the group's: another version wrote to this topic.
        """
        tile = self._contracts.value.decode(payload)
        size, start, as_of = tile["size_ms"], tile["start_ms"], tile["as_of"]
        partials = [_number(tile[column]) for column in self._columns[size]]
        owner, member = entity_of(self.group, tile)
        return TileWrite(
            tiles_key(self.group.name, self.group.version, owner),
            member,
            self._layout.row(size, start, n=tile["n"], as_of=as_of, partials=partials),
            as_of,
            start + size,
        )


class SequenceDecoder:
    """Decodes one group's sequence topic."""

    def __init__(self, group: Group) -> None:
        self.group = group
        self._contracts = sequence_contracts(group)
        self._sequences = {sequence.name: sequence for sequence in group.sequences}

    def decode(self, payload: bytes) -> SequenceWrite:
        """The write that a sequence row asks for."""
        row = self._contracts.value.decode(payload)
        owner, member = entity_of(self.group, row)
        sequence = self._sequences[row["sequence"]]
        event_id = "" if once(sequence) else row["event_id"]  # one row a value
        return SequenceWrite(
            sequence_key(self.group.name, self.group.version, owner, sequence.name),
            member,
            row["occurred_at"],
            pack_member(event_id, kept(sequence, row["payload"] or "")),
            sequence.limit,
            row["as_of"],
            oldest=sequence.function == "first",
        )


def entity_of(group: Group, record: Mapping[str, Any]) -> tuple[str, str | None]:
    """(owner, member): the first key column, which names the Redis key, and the others, joined, None of none."""
    owner, *others = (str(record[column]) for column in group.entity)
    return owner, MEMBER_SEPARATOR.join(others) if others else None


def _number(value: float | None) -> float:
    return nan if value is None else float(value)
