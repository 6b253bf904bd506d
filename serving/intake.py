"""What clients send to be kept: events and items, each record judged by itself.

Events are judged by the ingest job's own decoder: what the edge takes, the job takes.
"""

from collections.abc import Sequence

import msgspec
from msgspec import Raw, Struct

from lang.source import Source
from models.content import Layout
from schemas.catalogue import ITEM, Item
from schemas.http import BatchAnswer, ItemRecord, Rejected
from schemas.topics import EVENTS, ITEMS
from serving.catalogue import Catalogue
from serving.outlet import Letter
from serving.problems import pointer_of
from serving.query import ids_of
from udfs.decode import EventDecoder, Refused

_fields = msgspec.json.Decoder(dict[str, Raw])
_item = msgspec.json.Decoder(ItemRecord)


class Batch(Struct, frozen=True):
    """Records to write, and the answer once they are written."""

    letters: list[Letter]
    answer: BatchAnswer


def judge_events(events: Sequence[Raw], source: Source, *, now: int) -> Batch:
    """Events as records of topic `events`, stamped `received_at` now, whatever they said themselves."""
    decoder = EventDecoder(source)
    letters: list[Letter] = []
    rejected: list[Rejected] = []
    seen: set[tuple[str, int]] = set()
    duplicate = 0
    for index, raw in enumerate(events):
        try:
            payload = msgspec.json.encode({**_fields.decode(raw), "received_at": now})
            event = decoder.decode(payload, now)
        except (Refused, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            rejected.append(_rejected(index, str(error), "events"))
            continue
        identity = (event["event_id"], event[source.event_time])
        duplicate += identity in seen
        if identity not in seen:
            seen.add(identity)
            letters.append(Letter(topic=EVENTS, key=event["user_id"], value=payload))
    return Batch(letters, BatchAnswer(accepted=len(letters), duplicate=duplicate, rejected=rejected))


def judge_items(items: Sequence[Raw], catalogue: Catalogue, *, layout: Layout, now: int) -> Batch:
    """Items as records of topic `items`. Within a request the last record of an item counts."""
    letters: dict[str, Letter] = {}
    rejected: list[Rejected] = []
    duplicate = 0
    for index, raw in enumerate(items):
        try:
            record = _item.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            rejected.append(_rejected(index, str(error), "items"))
            continue
        if fault := layout.fault(record.content):
            name, message = fault
            rejected.append(_rejected(index, f"{message} - at `$.content.{name}`", "items"))
            continue
        fields = {name: getattr(record, name) for name in record.__struct_fields__ if name != "born_at"}
        born_at = record.born_at if record.born_at is not None else _first_seen(record.item_id, catalogue, now)
        item = Item(**fields, born_at=born_at, received_at=now)
        value = ITEM.encode({name: getattr(item, name) for name in item.__struct_fields__})
        duplicate += item.item_id in letters
        letters[item.item_id] = Letter(topic=ITEMS, key=item.item_id, value=value)
    answer = BatchAnswer(accepted=len(letters), duplicate=duplicate, rejected=rejected)
    return Batch(list(letters.values()), answer)


def _first_seen(item_id: str, catalogue: Catalogue, now: int) -> int:
    places, known = catalogue.find(ids_of([item_id]))
    return int(catalogue.born_at[places[0]]) if known[0] else now


def _rejected(index: int, message: str, field: str) -> Rejected:
    """A fault with its code: the decoder's own (`late`, `future`, `missing`, `type`, …), else by what msgspec says."""
    code, colon, rest = message.partition(": ")
    if not colon or not code.isalpha():
        code = "missing" if "missing required" in message else "type"
        rest = message
    pointer, detail = pointer_of(rest)
    return Rejected(index=index, pointer=f"/{field}/{index}{pointer}", code=code, detail=detail)
