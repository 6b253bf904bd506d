"""kill -9 of one process after the other, and a store that is emptied, in one stream: nothing is lost or doubled."""

import os
import signal
import threading
from collections import Counter

import pytest

from headrace.lang.plan.clean_topic import contract
from headrace.schemas.catalogue import ITEM
from tests.support.comparison import by_the_oracle, mismatches
from tests.support.line import Line
from tests.support.random_events import catalogue, random_events
from tests.support.slates import batch_join, encoded, exposures, feedback_on, headers_of, labels_of

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]


def kill(line: Line, program: str) -> None:
    """End a process without warning; supervisord starts another."""
    state, pid = line.supervisor.programs()[program]
    assert state == "RUNNING"
    os.kill(pid, signal.SIGKILL)
    line.wait(
        lambda: line.supervisor.programs()[program][0] == "RUNNING" and line.supervisor.programs()[program][1] != pid,
        f"{program} started again",
    )


def test_counts_and_labels_survive(line: Line) -> None:
    now = line.now()
    tag = f"kill{now}"
    items = catalogue(tag, 30, now - 900_000)
    line.write("items", [(key, ITEM.encode(item)) for key, item in items.items()])
    events = random_events(2_000, seed=3, tag=tag, start_ms=now - 300_000, span_ms=300_000)
    slates = exposures(60, tag=tag, at_ms=range(now, now + 3_000, 50))
    feedback = feedback_on(slates, seed=4, delay_ms=2_000)

    for slate in slates:
        line.write("exposures", [(str(slate["request_id"]), encoded(slate))], headers=headers_of(slate))
    quarter = len(events) // 4
    for number, victim in enumerate(("taskmanager", "loader", "jobmanager")):
        killer = threading.Thread(target=kill, args=(line, victim))
        killer.start()
        if victim == "loader":
            line.redis.flushall()  # what it had written goes with it
        line.write_events(events[number * quarter : (number + 1) * quarter])
        killer.join()
    line.write_events([*feedback, *events[3 * quarter :]])
    line.tick(now + 3_000 + line.endpoints.pace.wait_ms + 5_000)

    unique = list({event["event_id"]: event for event in (*events, *feedback)}.values())
    decode = contract(line.plan.source("clickstream")).decode

    def clean() -> Counter[object]:
        return Counter(row["event_id"] for row in line.read("events.clean", decode) if tag in str(row["event_id"]))

    line.wait(lambda: len(clean()) == len(unique), "every event in events.clean", deadline_s=240)
    assert clean() == Counter(event["event_id"] for event in unique)

    group = line.plan.group("item_engagement")
    keys = [(f"{tag}-i{n}",) for n in range(20)]
    expected = by_the_oracle(group, unique, keys, at_ms=now + 5_000)
    line.wait(lambda: not mismatches(expected, line.reader), "features after the fault", deadline_s=240)

    joined = batch_join(slates, feedback)
    line.wait(lambda: len(labels_of(line, tag)[1]) == len(joined), "samples after the fault", deadline_s=240)
    first, net = labels_of(line, tag)
    assert {(*place, positive) for place, positive in net.items()} == joined
    assert set(first.values()) == {1}
