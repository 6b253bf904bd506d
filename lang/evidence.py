"""Which events a value is made of: those without which it would be another."""

from collections.abc import Callable, Sequence

from lang.evaluate import Event
from lang.oracle import FeatureValue


def contributing(
    read: Callable[[list[Event]], FeatureValue], events: Sequence[Event], *, identity: str
) -> tuple[str, ...]:
    """The ids of the events that each on its own change what `read` says; column `identity` holds them.

    Reads once more for every event: for the few of a test.
    """
    whole = read(list(events))
    without = ([*events[:place], *events[place + 1 :]] for place in range(len(events)))
    return tuple(str(event[identity]) for event, others in zip(events, without, strict=True) if read(others) != whole)
