"""Events through ingest, the features job and the loader read as the oracle says, for every group and column."""

import pytest

from headrace.features.lateness_check import observed_delays_ms
from headrace.lang.events.computed import Computation
from headrace.lang.events.gate import Gate
from headrace.lang.plan.clean_topic import contract
from headrace.schemas.catalogue import ITEM
from tests.support.comparison import by_the_oracle, mismatches
from tests.support.line import Line
from tests.support.random_events import catalogue, owned, random_events

pytestmark = pytest.mark.stack


def test_the_store_equals_the_oracle(line: Line) -> None:
    now = line.now()
    tag = f"f{now}"  # a stack may be used twice
    items = catalogue(tag, 30, now - 900_000)
    line.write("items", [(key, ITEM.encode(item)) for key, item in items.items()])
    events = random_events(3_000, seed=11, tag=tag, start_ms=now - 600_000, span_ms=600_000)
    line.write_events(events)
    odd_tiles = line.write("features.user_recent.events.v1", [(tag, b"?")])
    clean = contract(line.plan.source("clickstream"))
    blank = {field["name"]: {} if "map" in str(field["type"]) else None for field in clean.fields}
    odd = {**blank, **events[0], "event_id": f"{tag}-odd", "source_partition": 0, "source_offset": 0}
    times = (now * 1000, now + 86_400_000)
    records = [clean.encode({**odd, "occurred_at": each, "received_at": each}) for each in times]
    odd_events = line.write("events.clean", [(tag, record) for record in records])

    fill = Computation(line.plan.source("clickstream")).fill
    gate = Gate(line.plan.source("clickstream"))
    stamped = [
        fill(event | {name: items[str(event["item_id"])][name] for name in ("category", "price", "seller")})
        for event in events
    ]
    accepted = [event for event in stamped if gate.judge(event) == "accepted"]
    assert len(accepted) == 3_000

    for group in owned(line.plan):
        if group.pairs is not None:
            few = range(6, 11)  # not the items of every session: the oracle compares each event with each
            keys = [(f"{tag}-i{n}", f"{tag}-i{m}") for n in few for m in few if n != m]
        elif len(group.entity) == 2:
            keys = [(f"{tag}-u{n}", f"{tag}-c{m}") for n in range(20) for m in range(5)]
        else:
            keys = [(f"{tag}-{group.entity[0][0]}{n}",) for n in range(20)]

        expected = by_the_oracle(group, accepted, keys, at_ms=now)
        line.wait(lambda expected=expected: not mismatches(expected, line.reader), f"{group.name} in the store")
        assert mismatches(expected, line.reader) == []

    assert line.reasons("features.user_recent.events.v1", odd_tiles) == ["unreadable"]
    assert line.reasons("events.clean", odd_events) == ["time", "time"]

    delays_ms = observed_delays_ms(line.endpoints, line.plan.source("clickstream"))
    assert len(delays_ms) >= 3_000
    assert 60_000 < max(delays_ms) <= line.plan.source("clickstream").lateness_ms
