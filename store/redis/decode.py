"""Decodes records of the feature topics into writes to Redis; refuses values that tiles or readers cannot hold."""

from collections.abc import Mapping
from math import inf, isfinite, nan
from typing import Any

from msgspec import Struct

from headrace.lang.aggregates.sequences import NUMBERS, keeps_distinct, stored_payload
from headrace.lang.executors.topic_contracts import TopicContracts, sequence_contracts, tile_contracts
from headrace.lang.plan.plan import Group, Sequence
from headrace.schemas.avro import Unreadable
from headrace.schemas.redis_keys import MEMBER_SEPARATOR, pack_member, sequence_key, tiles_key
from headrace.schemas.times import AHEAD_MS, PLAUSIBLE_MS
from headrace.store.redis.record import RecordLayout, Row

MOST_BYTES = 256 * 1024
"""Size limit of a record: sequences keep up to a thousand of them per key."""


class Refused(ValueError):
    """The record cannot be stored; the text is `<code>: <value seen, expectation>`."""


class TileWrite(Struct, frozen=True):
    """One tile: its key, its member if the group has several key columns, its row, its `as_of` and its end."""

    key: str
    member: str | None
    row: Row
    as_of: int
    ends_at: int


class SequenceWrite(Struct, frozen=True):
    """One row of a sequence; `member` as in `TileWrite`. The newest (or `oldest`) `limit` rows are kept."""

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

    def decode(self, payload: bytes, *, appended_ms: int) -> TileWrite:
        """Decode a tile record into a write; `appended_ms` is when the broker appended the record.

        Raises:
            Refused: it is not a tile of this group, or its times or numbers are not valid for a tile.
        """
        tile = _read(self._contracts, payload)
        size, start, n = tile["size_ms"], tile["start_ms"], tile["n"]
        if size not in self._columns:
            message = f"size: a tile of {size} ms, this version has tiles of {', '.join(map(str, self._columns))} ms"
            raise Refused(message)
        _check_tile_time(start, size, appended_ms)
        if n < 1:
            message = f"range: n is {n}, a tile has folded at least one event"
            raise Refused(message)
        partials = [_number(column, tile[column]) for column in self._columns[size]]
        as_of = _as_of(tile["as_of"], appended_ms)
        owner, member = entity_of(self.group, tile)
        return TileWrite(
            tiles_key(self.group.name, self.group.version, owner),
            member,
            self._layout.row(size, start, n=n, as_of=as_of, partials=partials),
            as_of,
            start + size,
        )


class SequenceDecoder:
    """Decodes one group's sequence topic."""

    def __init__(self, group: Group) -> None:
        self.group = group
        self._contracts = sequence_contracts(group)
        self._sequences = {sequence.name: sequence for sequence in group.sequences}

    def decode(self, payload: bytes, *, appended_ms: int) -> SequenceWrite:
        """Decode a sequence row into a write; `appended_ms` is when the broker appended the record.

        Raises:
            Refused: it is not a row of this group, or its time or payload is not valid for a row.
        """
        row = _read(self._contracts, payload)
        sequence = self._sequences.get(row["sequence"])
        if sequence is None:
            message = f"sequence: {row['sequence'][:60]!a}, this version has {', '.join(self._sequences)}"
            raise Refused(message)
        _check_time("occurred_at", row["occurred_at"], appended_ms)
        text = row["payload"] or ""
        if sequence.function in NUMBERS:
            _check_number(text)
        owner, member = entity_of(self.group, row)
        return SequenceWrite(
            sequence_key(self.group.name, self.group.version, owner, sequence.name),
            member,
            row["occurred_at"],
            row_of(sequence, event_id=row["event_id"], payload=text, occurred_at=row["occurred_at"]),
            sequence.limit,
            _as_of(row["as_of"], appended_ms),
            oldest=sequence.function == "first",
        )


def row_of(sequence: Sequence, *, event_id: str, payload: str, occurred_at: int) -> bytes:
    """A row as Redis holds it: the same bytes are the same row of its key.

    Raises:
        Refused: the event id contains the character that separates it from the payload.
    """
    identity = "" if keeps_distinct(sequence) else event_id  # one row per value
    if "\0" in identity:
        message = f"text: event_id {identity[:60]!a} holds a NUL, which separates it from the payload"
        raise Refused(message)
    return pack_member(identity, stored_payload(sequence, payload), occurred_at)


def entity_of(group: Group, record: Mapping[str, Any]) -> tuple[str, str | None]:
    """(owner, member): the first key column, which names the Redis key, and the others joined; None without others.

    Raises:
        Refused: a column after the first holds the character that separates them.
    """
    owner, *others = (str(record[column]) for column in group.entity)
    if any(MEMBER_SEPARATOR in other for other in others):
        message = f"text: {others!a} holds {MEMBER_SEPARATOR!a}, which separates key columns"
        raise Refused(message)
    return owner, MEMBER_SEPARATOR.join(others) if others else None


def _read(contracts: TopicContracts, payload: bytes) -> dict[str, Any]:
    if len(payload) > MOST_BYTES:
        message = f"oversize: {len(payload)} bytes, at most {MOST_BYTES} are kept"
        raise Refused(message)
    try:
        return contracts.value.decode(payload)
    except Unreadable as error:
        message = f"unreadable: {error}; does another version write to this topic?"
        raise Refused(message) from error


def _check_tile_time(start: int, size: int, appended_ms: int) -> None:
    if start < 0 or start % size:
        message = f"size: the tile starts at {start}, a multiple of its {size} ms is expected"
        raise Refused(message)
    # A tile that covers all time starts in 1970.
    _check_time("start_ms", max(start, min(start + size - 1, PLAUSIBLE_MS.start)), appended_ms)


def _check_time(name: str, at: int, appended_ms: int) -> None:
    if at not in PLAUSIBLE_MS:
        message = f"time: {name} is {at}, ms since 1970 from 1990 to 2100 are expected"
        raise Refused(message)
    ahead_ms = at - appended_ms
    if ahead_ms > 2 * AHEAD_MS:  # an event may be ahead of its receipt, and its receipt of the broker's clock
        message = f"time: {name} is {at}, {ahead_ms} ms after the record was written"
        raise Refused(message)


def _as_of(as_of: int, appended_ms: int) -> int:
    """When the newest event was received. A future time becomes the append time: the other events are valid.

    Raises:
        Refused: it is not a time.
    """
    if as_of not in PLAUSIBLE_MS:
        message = f"time: as_of is {as_of}, ms since 1970 from 1990 to 2100 are expected"
        raise Refused(message)
    return as_of if as_of <= appended_ms + AHEAD_MS else appended_ms


def _number(column: str, value: float | None) -> float:
    if value is None:
        return nan
    try:
        number = float(value)
    except OverflowError:
        number = inf
    if not isfinite(number):
        message = f"range: {column} is {value}, a finite number is expected"
        raise Refused(message)
    return number


def _check_number(text: str) -> None:
    try:
        number = float(text)
    except ValueError:
        number = nan
    if not isfinite(number):
        message = f"range: the payload is {text[:60]!a}, a finite number is expected"
        raise Refused(message)
