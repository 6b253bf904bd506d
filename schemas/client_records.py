"""Events and items as clients send them, with their limits. Both are checked one by one: one error rejects one record.

Events are decoded by ingest's own decoder, so these limits of an event describe it; a test compares the two.
"""

from typing import Annotated, TypeAlias

from msgspec import Meta, Struct, field

from headrace.schemas.context import Sent
from headrace.schemas.http import Id, OptionalId
from headrace.schemas.limits import DOUBLE_MOST, EARLIEST_MS, INT64_MOST, LATEST_MS, NO_CONTROL_PATTERN, TEXT_CHARS

TITLE_CHARS = 4096
TAGS = 256
PRICE_MOST = 1e15
Time: TypeAlias = Annotated[int, Meta(ge=EARLIEST_MS, lt=LATEST_MS)]
EventType: TypeAlias = Annotated[
    str, Meta(min_length=1, max_length=TEXT_CHARS, pattern=NO_CONTROL_PATTERN + r"(?!_)[\s\S]*\S")
]
Int32: TypeAlias = Annotated[int, Meta(ge=-(1 << 31), le=(1 << 31) - 1)]
Number: TypeAlias = Annotated[float, Meta(ge=-DOUBLE_MOST, le=DOUBLE_MOST)]


class EventRecord(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a user did. Two events with the same `event_id`, `user_id` and `occurred_at` are one.

    Attributes:
        event_id: made by the client and sent again unchanged if it repeats a request.
        event_type: any but those that begin with `_`. `click`, `dwell` and `purchase` label what was served.
        occurred_at: when it happened, ms since 1970 UTC; at most 15 minutes ago and five minutes ahead.
        request_id: `request_id` of the slate it refers to.
        position: position in that slate, from 0.
        value: of a `dwell`, seconds, from 0 to 86400.
        context: what else is known. Numbers and booleans become text, nulls and blanks are dropped.
    """

    event_id: Id
    user_id: Id
    event_type: EventType
    occurred_at: Time
    item_id: OptionalId | None = None
    session_id: OptionalId | None = None
    request_id: OptionalId | None = None
    position: Int32 | None = None
    value: Number | None = None
    context: Sent | None = None


class ItemRecord(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One whole item: a field that is absent is cleared.

    Attributes:
        born_at: when it may first be shown, ms since 1970 UTC, from 1990 on; if absent, when the API first received it.
        takedown: true removes the item from every answer.
        content: vectors by the name of a modality that the ranker declares, each as long as declared.
    """

    item_id: Id
    category: Id
    title: Annotated[str, Meta(max_length=TITLE_CHARS)] | None = None
    price: Annotated[float, Meta(ge=0, le=PRICE_MOST)] | None = None
    seller: OptionalId | None = None
    tags: Annotated[list[OptionalId], Meta(max_length=TAGS)] = field(default_factory=list[str])
    stock: Annotated[int, Meta(ge=0, le=INT64_MOST)] | None = None
    born_at: Annotated[int, Meta(ge=0, le=INT64_MOST)] | None = None
    takedown: bool = False
    content: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
