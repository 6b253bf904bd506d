"""The click event: JSON in topic `events`, Avro in `events.clean`."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field

from headrace.schemas.avro import Contract, record

TICK = "_tick"  # event type of a record that carries only the log clock; never folded, never joined
BOT = "_bot"  # event type that ingest writes once per user and interval of its bot rule; only the samples job reads it


class Event(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One event as a client sends it. Times in ms since 1970 UTC.

    `received_at` is set by the API or by a trusted producer; if it is absent, the log's append time is used.
    """

    event_id: str
    user_id: str
    event_type: str
    occurred_at: int
    item_id: str | None = None
    received_at: int | None = None
    session_id: str | None = None
    request_id: str | None = None
    position: int | None = None
    value: float | None = None
    context: dict[str, str] = field(default_factory=dict[str, str])


def clean_contract(columns: Mapping[str, Any]) -> Contract:
    """The Avro contract of a clean topic: the source's columns, then the partition and offset of the raw event.

    Args:
        columns: the declared and stamped columns, name to Avro type, in file order.
    """
    return Contract(record({**columns, "source_partition": "int", "source_offset": "long"}))
