"""The table that stamped columns are copied from: the catalogue of items, or a declared stream."""

from collections.abc import Mapping

from msgspec import Struct

from headrace.lang.expressions.tree import ColumnType
from headrace.lang.plan.clean_topic import clean_topic, column_types, contract
from headrace.lang.plan.source import Source
from headrace.schemas.avro import Contract
from headrace.schemas.catalogue import ITEM
from headrace.schemas.topics import EVENTS_CLEAN, ITEMS


class Table(Struct, frozen=True):
    """A topic whose records are looked up by key and time; `masked` columns hold hashes."""

    topic: str
    partitions: int
    contract: Contract
    columns: Mapping[str, ColumnType]
    masked: tuple[str, ...] = ()


def table_of(stream: Source | None) -> Table:
    """The table of a stream's accepted records, or the catalogue if `stream` is None."""
    if stream is None:
        return Table(ITEMS.name, ITEMS.partitions, ITEM, column_types(ITEM))
    columns: dict[str, ColumnType] = {column.name: column.type for column in stream.event_columns}
    return Table(clean_topic(stream), EVENTS_CLEAN.partitions, contract(stream), columns, stream.hashed)
