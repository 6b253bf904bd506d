"""Recompute a group's features as of a past time from the log, with the pipeline's own aggregation."""

import time
from collections.abc import Iterator

from headrace.lang.events.gate import int_value
from headrace.lang.events.ticks import is_tick
from headrace.lang.events.touching import by_owner
from headrace.lang.plan.clean_topic import RECEIVED_AT
from headrace.lang.plan.plan import Group, Plan
from headrace.lang.testfiles.from_events import render_case
from headrace.layout import Endpoints
from headrace.log.clean_log import CleanLog
from headrace.store.memory_store import MemoryStore

_EVENTS = 20  # per case, so that a person can read them


def store_as_of(endpoints: Endpoints, group: Group, owner: str, *, at_ms: int) -> MemoryStore:
    """Build a store from the events of one owner (a value of the first key column) that were received by `at_ms`.

    It reads as far back as the longest window, or as the log goes.
    """
    log = CleanLog(endpoints, group.source)
    known = [event for event in log.events(at_ms - group.retain_ms) if int_value(event, RECEIVED_AT) <= at_ms]
    log.close()
    memory = MemoryStore(Plan((group.source,), (group,)))
    for event in sorted(by_owner(group, known).get(owner, []), key=lambda event: int_value(event, RECEIVED_AT)):
        memory.add(event)
    return memory


def cases_from_log(endpoints: Endpoints, group: Group, *, keys: int) -> Iterator[str]:
    """Test cases for the keys with the newest events, each with at most `_EVENTS` events."""
    log, now_ms = CleanLog(endpoints, group.source), time.time_ns() // 1_000_000
    events = [event for event in log.events(now_ms - group.retain_ms) if not is_tick(event, group.source)]
    log.close()
    events.sort(key=lambda event: int_value(event, RECEIVED_AT))
    memory = MemoryStore(Plan((group.source,), (group,)))
    for event in events:
        memory.add(event)
    owned = by_owner(group, events)
    for key in memory.newest_keys(group, keys):
        newest = owned[key[0]][-_EVENTS:]
        yield render_case(group, key, newest, at_ms=int_value(newest[-1], RECEIVED_AT) + 1_000)
