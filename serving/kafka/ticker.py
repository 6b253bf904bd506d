"""Background thread: writes a `_tick` into every partition of `events` and `exposures` each second.

The time of the jobs advances only with records: without ticks, slates would never close while the log is silent. It
pauses while the host's spool holds records: slates would close before these arrive.
"""

import threading
from collections.abc import Callable

import msgspec

from headrace.lang.events.ticks import tick_of
from headrace.lang.plan.source import Source
from headrace.schemas.events import TICK
from headrace.schemas.partition import tick_key
from headrace.schemas.times import now_ms
from headrace.schemas.topics import EVENTS, EXPOSURES
from headrace.serving.kafka.producer import Record

_EVERY_S = 1.0


def run(
    send: Callable[[Record], object], paused: Callable[[], bool], stop: threading.Event, *, source: Source | None
) -> None:
    """Write ticks until `stop` is set, except while `paused`; `source` as in `ticks`.

    An event that waits in a worker's queue, or in the spool of another host, may be overtaken: its label is then a
    correction.
    """
    while not stop.wait(_EVERY_S):
        if paused():
            continue
        now = now_ms()
        for record in ticks(now, source):
            send(record)


def ticks(now: int, source: Source | None) -> list[Record]:
    """One tick for each partition; `source` is that of topic `events`, whose columns they have, if there is one."""
    events = [] if source is None else [_event(now, source, each) for each in range(EVENTS.partitions)]
    return [*events, *_exposures(now)]


def _event(now: int, source: Source, partition: int) -> Record:
    key = tick_key(partition, EVENTS.partitions)
    tick = tick_of(source, key=key, event_id=f"{TICK}-{partition}-{now}", at_ms=now)
    return Record(topic=EVENTS, key=key, value=msgspec.json.encode(tick), partition=partition)


def _exposures(now: int) -> list[Record]:
    header = (("received_at", str(now).encode()),)
    return [
        Record(topic=EXPOSURES, value=None, headers=header, partition=partition)
        for partition in range(EXPOSURES.partitions)
    ]
