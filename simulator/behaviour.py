"""The events that a slate causes: impressions at once, then clicks one by one, each followed by dwell and purchase."""

from collections.abc import Sequence

from msgspec import Struct

from headrace.schemas.events import Event
from headrace.simulator.world import Reaction, country_of, user_name


class ShownSlate(Struct, frozen=True, kw_only=True):
    """A slate as the user saw it. `shown_at` is in ms."""

    request_id: str
    user: int
    session_id: str
    items: Sequence[str]
    shown_at: int


def events_of(slate: ShownSlate, reactions: Sequence[Reaction]) -> list[Event]:
    """Events by time: an impression per item, then the reactions. A dwell is sent when it ends."""
    events = [_event(slate, "impression", position, after_s=0.0) for position in range(len(slate.items))]
    for reaction in reactions:
        position, end_s = reaction.position, reaction.after_s + reaction.dwell_s
        events.append(_event(slate, "click", position, after_s=reaction.after_s))
        events.append(_event(slate, "dwell", position, after_s=end_s, value=round(reaction.dwell_s, 3)))
        if reaction.bought:
            events.append(_event(slate, "purchase", position, after_s=end_s))
    return sorted(events, key=lambda event: event.occurred_at)


def _event(slate: ShownSlate, kind: str, position: int, *, after_s: float, value: float | None = None) -> Event:
    return Event(
        event_id=f"{slate.request_id}-{kind}-{position}",
        user_id=user_name(slate.user),
        event_type=kind,
        occurred_at=slate.shown_at + round(after_s * 1000),
        item_id=slate.items[position],
        session_id=slate.session_id,
        request_id=slate.request_id,
        position=position,
        value=value,
        context={"country": country_of(slate.user)},
    )
