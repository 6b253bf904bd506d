"""Events of the shipped source, and a store in memory that holds them."""

from headrace.lang.events.computed import Computation
from headrace.lang.expressions.per_event import Event
from headrace.lang.plan.plan import Plan
from headrace.store.memory_store import MemoryStore
from tests.support import serving_states as worlds


def click(number: int, **changes: object) -> Event:
    at = worlds.NOW - 60_000 + number
    return {
        "event_id": f"e{number}",
        "user_id": "u1",
        "item_id": "i3",
        "category": "c3",
        "event_type": "click",
        "occurred_at": at,
        "received_at": at,
        **changes,
    }


def memory_store_of(plan: Plan, events: list[Event]) -> MemoryStore:
    shelf, fill = MemoryStore(plan), Computation(plan.source("clickstream")).fill
    for event in events:
        shelf.add(fill(event))
    return shelf
