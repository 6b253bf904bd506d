"""Random event logs for tests: seeded, with duplicates and events out of order."""

import random
from collections.abc import Iterator

from headrace.lang.plan.plan import Group, Plan

KINDS = ("impression", "impression", "impression", "click", "click", "skip", "dwell", "purchase", "view")


def random_events(
    count: int, *, seed: int, tag: str, start_ms: int, span_ms: int, users: int = 20, items: int = 30
) -> list[dict[str, object]]:
    """`count` events in log order over `span_ms`; 2 % stand twice, 5 % are up to ten minutes older than their receipt.

    `tag` marks the users, items and event ids, so that tests on one stack do not meet.
    """
    return list(_events(random.Random(seed), count, tag, start_ms, span_ms, users, items))


def _events(
    rng: random.Random, count: int, tag: str, start_ms: int, span_ms: int, users: int, items: int
) -> Iterator[dict[str, object]]:
    for number in range(count):
        received_at = start_ms + span_ms * number // count
        delay_ms = rng.randrange(600_000) if rng.random() < 0.05 else rng.randrange(2_000)
        user = f"{tag}-u{rng.randrange(users)}"
        event: dict[str, object] = {
            "event_id": f"{tag}-{number}",
            "user_id": user,
            "item_id": f"{tag}-i{int(rng.paretovariate(1.0)) % items}",
            "event_type": rng.choice(KINDS),
            "occurred_at": received_at - delay_ms,
            "received_at": received_at,
            "session_id": f"{user}-s{number * 5 // count}",
            "value": round(rng.uniform(0.1, 90.0), 3),
        }
        yield event
        if rng.random() < 0.02:
            yield event


def catalogue(tag: str, items: int, received_at: int) -> dict[str, dict[str, object]]:
    """Items with a category each, known before the first event."""
    return {
        f"{tag}-i{n}": {
            "item_id": f"{tag}-i{n}",
            "category": f"{tag}-c{n % 5}",
            "title": None,
            "price": float(n),
            "seller": None,
            "tags": [],
            "stock": None,
            "born_at": 0,
            "received_at": received_at,
            "takedown": False,
        }
        for n in range(items)
    }


def owned(plan: Plan) -> list[Group]:
    """Groups whose values other tests on this stack do not touch: by users and items of one's own."""
    return [group for group in plan.groups if group.entity[0] in ("user_id", "item_id") and not group.over_all]
