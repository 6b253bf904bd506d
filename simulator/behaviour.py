"""What people do with a slate, as events: impressions at once, clicks one by one, dwell and purchase after them."""

from collections.abc import Sequence

from msgspec import Struct

from schemas.events import Event
from simulator.world import Reaction, country_of, user_name


class Served(Struct, frozen=True, kw_only=True):
    """A slate as its reader got it. `shown_at` in ms."""

    request_id: str
    user: int
    session_id: str
    items: Sequence[str]
    shown_at: int


def events_of(served: Served, reactions: Sequence[Reaction]) -> list[Event]:
    """Events by time: an impression of every item, then each reaction. A dwell is told when it has ended."""
    events = [_event(served, "impression", position, after_s=0.0) for position in range(len(served.items))]
    for reaction in reactions:
        position, left_s = reaction.position, reaction.after_s + reaction.dwell_s
        events.append(_event(served, "click", position, after_s=reaction.after_s))
        events.append(_event(served, "dwell", position, after_s=left_s, value=round(reaction.dwell_s, 3)))
        if reaction.bought:
            events.append(_event(served, "purchase", position, after_s=left_s))
    return sorted(events, key=lambda event: event.occurred_at)


def _event(served: Served, kind: str, position: int, *, after_s: float, value: float | None = None) -> Event:
    return Event(
        event_id=f"{served.request_id}-{kind}-{position}",
        user_id=user_name(served.user),
        event_type=kind,
        occurred_at=served.shown_at + round(after_s * 1000),
        item_id=served.items[position],
        session_id=served.session_id,
        request_id=served.request_id,
        position=position,
        value=value,
        context={"country": country_of(served.user)},
    )
