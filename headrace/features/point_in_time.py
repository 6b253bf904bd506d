"""A group's features as they were known at a time that is past: recomputed from the log by the line's own fold."""

import time
from collections.abc import Iterator

from headrace.layout import Endpoints
from headrace.log.clean_log import CleanLog
from lang.events.gate import int_value, is_tick
from lang.events.touching import by_owner
from lang.plan.clean_topic import RECEIVED_AT
from lang.plan.plan import Group, Plan
from lang.testfiles.from_events import render_case
from store.memory_store import MemoryStore

_EVENTS = 20  # of one case: a person reads them


def as_known_at(endpoints: Endpoints, group: Group, owner: str, *, at_ms: int) -> MemoryStore:
    """A store that has seen what concerns one owner (a value of the first key column) and was received by `at_ms`.

    It reads as far back as the longest window goes, or the log.
    """
    log = CleanLog(endpoints, group.source)
    known = [event for event in log.events(at_ms - group.retain_ms) if int_value(event, RECEIVED_AT) <= at_ms]
    log.close()
    memory = MemoryStore(Plan((group.source,), (group,)))
    for event in sorted(by_owner(group, known).get(owner, []), key=lambda event: int_value(event, RECEIVED_AT)):
        memory.add(event)
    return memory


def recorded_cases(endpoints: Endpoints, group: Group, *, keys: int) -> Iterator[str]:
    """Test cases of the keys that the newest events touch, each with at most `_EVENTS` events."""
    log, now_ms = CleanLog(endpoints, group.source), time.time_ns() // 1_000_000
    events = [event for event in log.events(now_ms - group.retain_ms) if not is_tick(event)]
    log.close()
    events.sort(key=lambda event: int_value(event, RECEIVED_AT))
    memory = MemoryStore(Plan((group.source,), (group,)))
    for event in events:
        memory.add(event)
    owned = by_owner(group, events)
    for key in memory.newest_keys(group, keys):
        mine = owned[key[0]][-_EVENTS:]
        yield render_case(group, key, mine, at_ms=int_value(mine[-1], RECEIVED_AT) + 1_000)
