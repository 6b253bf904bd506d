"""Finds the events that can affect an owner's features; an owner is a value of a group's first key column."""

from collections import defaultdict
from collections.abc import Iterable

from headrace.lang.events.pairs import pairable
from headrace.lang.expressions.per_event import Event
from headrace.lang.plan.plan import Group


def by_owner(group: Group, events: Iterable[Event]) -> dict[str, list[Event]]:
    """For each owner, the events that can affect its features, in the given order; with `over_all`, all events.

    In a group of pairs, an event affects every owner that shares its user or session.
    """
    events = list(events)
    column = group.entity[0] if group.pairs is None else group.pairs.column
    if group.over_all:
        return {str(event[column]): events for event in events if event.get(column) is not None}
    owned: defaultdict[str, list[Event]] = defaultdict(list)
    if group.pairs is None:
        for event in events:
            if event.get(column) is not None:
                owned[str(event[column])].append(event)
        return owned
    visits: defaultdict[object, list[Event]] = defaultdict(list)
    for event in pairable(group.source, group.pairs, events):
        visits[tuple(event[name] for name in group.pairs.keys)].append(event)
    for visit in visits.values():
        for owner in {str(event[column]): None for event in visit}:
            owned[owner] += visit
    return owned
