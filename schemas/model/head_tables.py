"""The tables `[heads.NAME]` of a `model.toml`: what the ranker predicts of a slot.

[heads.solved]                          # the first logistic head is a slot's score
events = ["solved"]
negatives = ["skip"]
event_weight = 3.0
blend = 0.8

[heads.liked]
events = ["rating"]
at_least = 4.0
blend = 0.2
"""

import difflib
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import cast

import msgspec

from headrace.schemas.model.heads import Head, Heads

MOST_HEADS = 16  # each costs a column of every row and a bit of every open slot
_NAME = re.compile("[a-z][a-z0-9_]{0,39}")
_RESERVED = ("blend", "category", "item", "user")  # what bounds of versions compare next to heads, by name
_KEYS = tuple(field for field in Head.__struct_fields__ if field != "name")
_LARGEST_WEIGHT = 1_000.0
_LARGEST_BLEND = 2_000.0


def parse_heads(tables: Mapping[str, object], problems: list[str]) -> Heads:
    """The heads of the tables under `heads`, by name; appends what is wrong, each with its key."""
    found = [head for name, table in tables.items() if (head := _head(name, table, problems))]
    if len(found) == len(tables):
        problems += _conflicts(found)
    return Heads(tuple(found))


def _head(name: str, table: object, problems: list[str]) -> Head | None:
    where = f"heads.{name}"
    if not isinstance(table, dict):
        problems.append(f"{where} is {table!r}, must be a table: [{where}]")
        return None
    given = cast("dict[str, object]", table)
    wrong = [f"{where}.{key} is unknown; {_nearest(key)}" for key in given if key not in _KEYS]
    if not _NAME.fullmatch(name) or name in _RESERVED:
        wrong.append(
            f"{where}: a head's name has at most 40 lower-case letters, digits and _, begins with a letter, "
            f"and is none of {', '.join(_RESERVED)}"
        )
    known = {key: value for key, value in given.items() if key in _KEYS}
    try:
        head = msgspec.convert({"name": name, **known}, Head)
    except msgspec.ValidationError as error:
        problems += [*wrong, f'{where}: {error}; write for example events = ["click"], kind = "logistic", blend = 0.7']
        return None
    wrong += [f"{where}.{problem}" for problem in (*_event_problems(head), *_number_problems(head))]
    problems += wrong
    return None if wrong else head


def _nearest(key: str) -> str:
    near = difflib.get_close_matches(key, _KEYS, 1)
    return f"{near[0]} is known" if near else f"the keys are {', '.join(_KEYS)}"


def _event_problems(head: Head) -> Iterator[str]:
    if not head.events:
        yield "events is empty; name the event types that are its positives"
    for key, event_types in (("events", head.events), ("negatives", head.negatives)):
        for event_type in event_types:
            if not event_type or event_type.startswith("_"):
                yield f"{key}: {event_type!r} is not an event type that clients send; it must not begin with _"
    for event_type in _repeated((*head.events, *head.negatives)):
        yield f"events and negatives name {event_type!r} twice; to divide one event type by its value, give at_least"


def _number_problems(head: Head) -> Iterator[str]:
    if not 0 < head.event_weight <= _LARGEST_WEIGHT:
        yield f"event_weight is {head.event_weight:g}, must be above 0 and at most {_LARGEST_WEIGHT:g}"
    elif head.kind == "seconds" and head.event_weight != 1:
        yield f"event_weight is {head.event_weight:g}, must be 1 where kind is seconds; weigh the head by loss_weight"
    if not 0 < head.loss_weight <= _LARGEST_WEIGHT:
        yield f"loss_weight is {head.loss_weight:g}, must be above 0 and at most {_LARGEST_WEIGHT:g}"
    if not abs(head.blend) <= _LARGEST_BLEND:
        yield f"blend is {head.blend:g}, must be from -{_LARGEST_BLEND:g} to {_LARGEST_BLEND:g}"
    if head.at_least is not None and (head.kind == "seconds" or not math.isfinite(head.at_least)):
        yield f"at_least is {head.at_least:g}, must be a finite number, and only a logistic head has one"
    if head.urgent_from is not None and not head.urgent_from > 0:
        yield f"urgent_from is {head.urgent_from:g}, must be above 0: a label of 0 is never urgent"


def _conflicts(heads: list[Head]) -> Iterator[str]:
    if not heads:
        yield "heads has no head; declare one as [heads.NAME], or remove it for click, converted and engagement"
        return
    if len(heads) > MOST_HEADS:
        yield f"heads has {len(heads)} heads, at most {MOST_HEADS} are kept"
    for event_type in _repeated(each for head in heads for each in head.events):
        names = " and ".join(f"heads.{head.name}" for head in heads if event_type in head.events)
        yield f"{names} both have {event_type!r} among their events; leave it to one of them"
    if all(head.kind != "logistic" for head in heads):
        yield 'heads has no logistic head, whose probability would be a slot\'s score; give one kind = "logistic"'
    if not any(head.blend for head in heads):
        yield "heads: blend is 0 in all of them, so nothing orders a slate; give one a blend"


def _repeated(event_types: Iterable[str]) -> list[str]:
    return [event_type for event_type, count in Counter(event_types).items() if count > 1]
