"""Finds the events behind a value: a minimal set that gives the same value."""

from collections.abc import Callable, Sequence

from headrace.lang.executors.oracle import FeatureValue
from headrace.lang.expressions.per_event import Event


def contributing_events(
    read: Callable[[list[Event]], FeatureValue], events: Sequence[Event], *, identity: str
) -> tuple[str, ...]:
    """The ids (column `identity`) of a minimal set of events from which `read` returns the same value as from all.

    Reads once per event, so it suits only the few events of a test.
    """
    whole, needed = read(list(events)), list(events)
    for event in events:
        others = [each for each in needed if each is not event]
        if read(others) == whole:
            needed = others
    return tuple(str(event[identity]) for event in needed)
