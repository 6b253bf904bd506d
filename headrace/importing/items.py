"""Rows as items of the catalogue, known since before the first event unless a column says when they were."""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import structs

from headrace.importing.records import RefusedRow, Target
from headrace.schemas.catalogue import Item
from headrace.schemas.client_records import ItemRecord
from headrace.schemas.limits import EARLIEST_MS, time_fault
from headrace.schemas.topics import ITEMS
from headrace.store.kafka.resumable_writer import OutgoingRecord

_RECEIVED_AT = "received_at"


class ItemRows:
    """Makes items, checked as the API checks them."""

    topic = ITEMS.name
    targets = (
        Target(name="item_id", kind="text", required=True),
        Target(name="category", kind="text", required=True),
        Target(name="title", kind="text"),
        Target(name="price", kind="number"),
        Target(name="seller", kind="text"),
        Target(name="tags", kind="list"),
        Target(name="stock", kind="whole"),
        Target(name="born_at", kind="time"),
        Target(name="takedown", kind="truth"),
        Target(name="content", kind="map"),
        Target(name=_RECEIVED_AT, kind="time"),
    )

    def record(self, row: Mapping[str, Any], row_id: str) -> OutgoingRecord:
        """The item of a row. Raises RefusedRow.

        An event is stamped with the item as it was received before the event, so an item that was received now would
        be unknown to all of history.
        """
        received_at = row.get(_RECEIVED_AT, EARLIEST_MS)
        fields = {name: value for name, value in row.items() if name != _RECEIVED_AT}
        try:
            checked = msgspec.convert(fields, ItemRecord)
        except msgspec.ValidationError as error:
            _, _, name = str(error).rpartition("$.")
            value = fields.get(name.rstrip("`"))
            message = f"type: {error}" + ("" if value is None else f", which is {value!r}")
            raise RefusedRow(message) from error
        for name, at in ((_RECEIVED_AT, received_at), ("born_at", checked.born_at)):
            if at is not None and (fault := "an integer is expected" if not isinstance(at, int) else time_fault(at)):
                message = f"time: {name} is {at!r}: {fault}"
                raise RefusedRow(message)
        values = structs.asdict(checked) | {"born_at": checked.born_at or received_at, _RECEIVED_AT: received_at}
        try:
            return OutgoingRecord(topic=self.topic, key=checked.item_id.encode(), value=Item(**values).payload())
        except UnicodeEncodeError as error:
            message = "text: a value has bytes that are not UTF-8"
            raise RefusedRow(message) from error
