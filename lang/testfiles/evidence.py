"""Which events a value is made of: some that make it alone, none of which could be spared."""

from collections.abc import Callable, Sequence

from lang.executors.oracle import FeatureValue
from lang.expressions.per_event import Event


def contributing_events(
    read: Callable[[list[Event]], FeatureValue], events: Sequence[Event], *, identity: str
) -> tuple[str, ...]:
    """The ids of events from which `read` says the same as from all; column `identity` holds them.

    Reads once more for every event: for the few of a test.
    """
    whole, needed = read(list(events)), list(events)
    for event in events:
        others = [each for each in needed if each is not event]
        if read(others) == whole:
            needed = others
    return tuple(str(event[identity]) for event in needed)
