"""Events and items from clients; each record is checked by itself.

Events are checked by the ingest job's own decoder: what the API accepts, the job accepts.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Raw, Struct, structs

from headrace.lang.events.api_events import columns_by_api_name
from headrace.lang.events.ticks import is_tick
from headrace.lang.expressions.per_event import Event
from headrace.lang.plan.clean_topic import RECEIVED_AT
from headrace.lang.plan.source import Source
from headrace.models.content.vectors import ContentLayout
from headrace.schemas.catalogue import Item
from headrace.schemas.client_records import ItemRecord
from headrace.schemas.http import BatchAnswer, Rejected
from headrace.schemas.ids import hash64
from headrace.schemas.json_text import fault_of, is_deep, pointer_of, with_value
from headrace.schemas.limits import LEVELS, time_fault
from headrace.schemas.model.heads import SHIPPED_HEADS, Heads
from headrace.schemas.topics import EVENTS, ITEMS
from headrace.serving.kafka.producer import Record
from headrace.serving.kafka.spool_folder import ROOM
from headrace.serving.state.catalogue import Catalogue
from headrace.serving.state.query import ids_of
from headrace.udfs.decode import EventDecoder, Refused

BUSY = "busy"
"""The code of an event that found no room. Unlike all others, it may be accepted when it is sent again."""
_RETRY_S = (2, 60)
_fields = msgspec.json.Decoder(dict[str, Raw])
_item = msgspec.json.Decoder(ItemRecord)
_CODES = (
    ("missing required", "missing"),
    ("control characters", "text"),
    ("of length", "length"),
    ("<=", "range"),
    (">=", "range"),
    ("out of range", "range"),
)
"""A part of msgspec's message, and the code for it; everything else is `type`."""


class Batch(Struct, frozen=True):
    """Records to write, the place of each in the request, and the answer once all are written.

    `events`: the event of each record, as ingest will decode it. `taken_down`, `shown`: of items, the ids of those that
    the records take down, and of the others.
    """

    records: list[Record]
    indexes: list[int]
    answer: BatchAnswer
    events: Sequence[Event] = ()
    taken_down: frozenset[int] = frozenset()
    shown: frozenset[int] = frozenset()


class Invalid(Exception):
    """One record of a batch is rejected."""

    def __init__(self, detail: str, *, code: str, pointer: str = "") -> None:
        super().__init__(detail)
        self.code = code
        self.pointer = pointer


@lru_cache(4)
def _decoder(source: Source) -> EventDecoder:
    return EventDecoder(source)


def judge_events(events: Sequence[Raw], source: Source, *, now: int, heads: Heads = SHIPPED_HEADS) -> Batch:
    """Events as records of topic `events`; `received_at` is set to now, whatever they say.

    Those that say something of one of the heads are marked as labels.
    """
    records: list[Record] = []
    decoded: list[Event] = []
    indexes: list[int] = []
    rejected: list[Rejected] = []
    owners: dict[tuple[str, int], str] = {}
    duplicate, labelled = 0, source.roles.event_type
    for index, raw in enumerate(events):
        try:
            payload, event = _event(raw, source, now)
            key, identity = event[source.key], (event[source.dedupe], event[source.event_time])
            owner = owners.setdefault(identity, key)
            if owner != key:
                detail = f"another {source.key} has an event with this id and time in this request"
                raise Invalid(detail, code="taken", pointer=f"/{source.dedupe}")
        except Invalid as invalid:
            rejected.append(_rejected("events", index, invalid))
            continue
        duplicate += len(owners) == len(records)
        if len(owners) > len(records):
            labels = event.get(labelled) in heads.feedback
            records.append(Record(topic=EVENTS, key=key, value=payload, labels=labels))
            decoded.append(event)
            indexes.append(index)
    answer = BatchAnswer(accepted=len(records), duplicate=duplicate, rejected=rejected)
    return Batch(records, indexes, answer, events=decoded)


def without(batch: Batch, refused: Sequence[int], *, fill: float) -> BatchAnswer:
    """The answer if some events found no room; `refused` are their places among the records."""
    detail = f"Kafka is away and its spool is {fill:.0%} full; send this event again after the seconds in Retry-After"
    busy = [_rejected("events", batch.indexes[place], Invalid(detail, code=BUSY)) for place in refused]
    rejected = sorted([*batch.answer.rejected, *busy], key=lambda each: each.index)
    return structs.replace(batch.answer, accepted=batch.answer.accepted - len(busy), rejected=rejected)


def retry_after_s(fill: float) -> int:
    """How long a client should wait by how full the spool is: the sender is slowed down before it is full.

    >>> [retry_after_s(fill) for fill in (0.0, 0.7, 0.85, 1.0)]
    [2, 2, 31, 60]
    """
    above = max(0.0, fill - ROOM["views"]) / (1 - ROOM["views"])
    return round(_RETRY_S[0] + above * (_RETRY_S[1] - _RETRY_S[0]))


def _event(raw: Raw, source: Source, now: int) -> tuple[bytes, dict[str, Any]]:
    """The record as written to the topic, and the event that ingest will decode from it."""
    fields = _decoded(raw, _fields)
    _refuse_misspelt(fields, source)
    payload = msgspec.json.encode({**fields, RECEIVED_AT: now})
    try:
        event = _decoder(source).decode(payload, now)
    except Refused as refused:
        raise Invalid(refused.detail, code=refused.code, pointer=refused.pointer) from refused
    if is_tick(event, source):
        detail = "event types that begin with _ are reserved"
        raise Invalid(detail, code="reserved", pointer=f"/{source.roles.event_type}")
    return payload, event


def _refuse_misspelt(fields: Mapping[str, Raw], source: Source) -> None:
    """Fields that are not declared are data of others, but one that only spells a declared name otherwise is a slip.

    So is the API's own name of a column that the source calls otherwise: `item_id` for `article_id`.
    """
    known = _declared(source)
    for name in fields:
        meant = known.get(_letters(name), name)
        if meant != name and meant not in fields:
            detail = f"an event has no field {name!r}: the name is {meant}"
            raise Invalid(detail, code="unknown", pointer=pointer_of([name]))


@lru_cache(4)
def _declared(source: Source) -> Mapping[str, str]:
    declared = {_letters(column.name): column.name for column in source.columns}
    others = {_letters(name): column for name, column in columns_by_api_name(source).items()}
    return {name: column for name, column in others.items() if column in declared.values()} | declared


def _letters(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()


def judge_items(items: Sequence[Raw], catalogue: Catalogue, *, layout: ContentLayout, now: int) -> Batch:
    """Items as records of topic `items`. Within a request the last record of an item counts."""
    records: dict[str, Record] = {}
    takes_down: dict[int, bool] = {}
    rejected: list[Rejected] = []
    duplicate = 0
    for index, raw in enumerate(items):
        try:
            record = _item_record(raw, layout)
        except Invalid as invalid:
            rejected.append(_rejected("items", index, invalid))
            continue
        fields = {name: getattr(record, name) for name in record.__struct_fields__}
        fields["born_at"] = _first_seen(record.item_id, catalogue, now) if record.born_at is None else record.born_at
        fields["seller"] = record.seller if record.seller and not record.seller.isspace() else None
        fields["tags"] = [tag for tag in record.tags if tag and not tag.isspace()]
        item = Item(**fields, received_at=now)
        value = item.payload()
        duplicate += item.item_id in records
        records[item.item_id] = Record(topic=ITEMS, key=item.item_id, value=value)
        takes_down[hash64(item.item_id)] = item.takedown
    return Batch(
        list(records.values()),
        [],
        BatchAnswer(accepted=len(records), duplicate=duplicate, rejected=rejected),
        taken_down=frozenset(id_ for id_, down in takes_down.items() if down),
        shown=frozenset(id_ for id_, down in takes_down.items() if not down),
    )


def _item_record(raw: Raw, layout: ContentLayout) -> ItemRecord:
    """The record, if it is valid."""
    record = _decoded(raw, _item)
    if record.born_at is not None and (message := time_fault(record.born_at)):
        raise Invalid(message, code="time", pointer="/born_at")
    if fault := layout.fault(record.content):
        name, message = fault
        code, _, detail = message.partition(": ")
        raise Invalid(detail, code=code, pointer=f"/content/{name}")
    return record


def _decoded(raw: Raw, decoder: msgspec.json.Decoder[Any]) -> Any:
    if is_deep(raw):
        message = f"objects or arrays are nested more than {LEVELS} levels deep"
        raise Invalid(message, code="depth")
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError as error:
        pointer, detail = fault_of(error, raw)
        code = next((code for words, code in _CODES if words in detail), "type")
        raise Invalid(with_value(detail, raw, pointer), code=code, pointer=pointer) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Invalid(str(error), code="json") from error


def _first_seen(item_id: str, catalogue: Catalogue, now: int) -> int:
    indexes, known = catalogue.find(ids_of([item_id]))
    return int(catalogue.born_at[indexes[0]]) if known[0] else now


def _rejected(field: str, index: int, invalid: Invalid) -> Rejected:
    return Rejected(index=index, pointer=f"/{field}/{index}{invalid.pointer}", code=invalid.code, detail=str(invalid))
