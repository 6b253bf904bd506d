"""Exposures and feedback through the samples job give one net label for each slot and head, as a batch join does."""

from collections import Counter

import pytest

from headrace.lang.plan.clean_topic import contract
from headrace.lang.planner.load import load_plan
from headrace.layout import FEATURES
from headrace.schemas.events import BOT
from headrace.schemas.model.heads import SHIPPED_HEADS
from headrace.schemas.samples import SAMPLE
from headrace.stack.flink_rest import FlinkRest
from headrace.stack.jobs import SAMPLES_JOB
from headrace.udfs.labels import BEYOND_DAILY_LIMIT, COUNTERS
from headrace.udfs.user_state import TRAINING_PER_DAY
from tests.support.line import Line, Place
from tests.support.slates import batch_join, encoded, exposures, feedback_on, headers_of, labels_of

pytestmark = pytest.mark.stack


def test_one_net_label_for_each_slot_and_head(line: Line) -> None:
    now = line.now()
    tag = f"join{now}"
    slates = exposures(120, tag=tag, at_ms=range(now, now + 6_000, 50))
    events = feedback_on(slates, seed=5, delay_ms=4_000)
    odd = odd_exposures(line, slates[0], tag)
    for slate in slates:
        line.write("exposures", [(str(slate["request_id"]), encoded(slate))], headers=headers_of(slate))
    line.write("exposures", [(tag, encoded(slates[0]))], headers=headers_of(slates[0]))  # the same one twice
    line.write_events(events)
    expected = batch_join(slates, events)
    line.tick(now + 6_000 + line.endpoints.pace.wait_ms + 5_000)

    line.wait(lambda: len(labels_of(line, tag)[1]) == len(expected), "a label for each slot and head")
    first, net = labels_of(line, tag)
    assert {(*place, positive) for place, positive in net.items()} == expected
    assert set(first.values()) == {1}
    assert sorted(line.reasons("exposures", odd)) == ["headers", "headers", "range", "time", "unreadable"]


def odd_exposures(line: Line, slate: dict[str, object], tag: str) -> list[Place]:
    """Exposures that cannot be joined, and ticks of the year 2090, which close nobody's slate."""
    odd = {**slate, "request_id": f"{tag}-odd"}
    negative = {**odd, "slots": [{**odd["slots"][0], "position": -1}], "contents": []}
    future = {**odd, "received_at": 3_800_000_000_000}
    micros = {**odd, "received_at": line.now() * 1000}
    line.tick(3_800_000_000_000)
    places = line.write("exposures", [(tag, b"?")], headers=headers_of(odd))
    for each in (negative, future, micros):
        places += line.write("exposures", [(tag, encoded(each))], headers=headers_of(each))
    return places + line.write("exposures", [(tag, encoded(odd))], headers={"received_at": b"soon"})


def test_what_is_urgent_is_on_both_topics_and_what_does_not_train_is_counted(line: Line) -> None:
    now = line.now()
    tag = f"urgent{now}"
    slates = exposures(120, tag=tag, at_ms=range(now, now + 6_000, 50))
    events = feedback_on(slates, seed=6, delay_ms=4_000)
    for slate in slates:
        line.write("exposures", [(str(slate["request_id"]), encoded(slate))], headers=headers_of(slate))
    line.write_events(events)
    line.tick(now + 6_000 + line.endpoints.pace.wait_ms + 5_000)
    expected = batch_join(slates, events)
    line.wait(lambda: len(labels_of(line, tag)[1]) == len(expected), "a label for each slot and head")
    told = [row for row in line.read("samples", SAMPLE.decode) if str(row["request_id"]).startswith(tag)]
    urgent = [row for row in line.read("samples.urgent", SAMPLE.decode) if str(row["request_id"]).startswith(tag)]
    carried = {str(slate["request_id"]): slate["contents"] for slate in slates}
    assert all(row["content"] == (carried[row["request_id"]] or [b""] * 3)[row["position"]] for row in told)
    wanted = [row for row in told if row["weight"] and row["converted"]]
    assert sorted(map(str, urgent)) == sorted(map(str, wanted))
    assert len(urgent) > 10

    heard = {event["event_id"]: event["user_id"] for event in events if event["event_type"] in SHIPPED_HEADS.feedback}
    beyond = sum(max(0, count - TRAINING_PER_DAY) for count in Counter(heard.values()).values())
    assert beyond > 10
    assert any(row["weight"] == 0 for row in told)
    flink = FlinkRest(line.endpoints.flink_url)
    line.wait(
        lambda: flink.counters(SAMPLES_JOB, COUNTERS)[BEYOND_DAILY_LIMIT] >= beyond, "the count of what is beyond"
    )


def test_the_slates_of_a_bot_do_not_train(line: Line) -> None:
    now = line.now()
    tag = f"bot{now}"
    slates = exposures(14, tag=tag, at_ms=range(now, now + 700, 50))
    bot = str(slates[0]["user_id"])
    event = {"event_id": tag, "user_id": bot, "event_type": BOT, "occurred_at": now, "received_at": now}
    clean = contract(load_plan(FEATURES).source("clickstream"))
    absent = dict.fromkeys(field["name"] for field in clean.fields)
    marker = clean.encode(absent | event | {"context": {}, "source_partition": 0, "source_offset": 0})
    line.write("events.clean", [(bot, marker)])
    for slate in slates:
        line.write("exposures", [(str(slate["request_id"]), encoded(slate))], headers=headers_of(slate))
    line.tick(now + 6_000 + line.endpoints.pace.wait_ms + 5_000)
    expected = batch_join(slates, [])
    line.wait(lambda: len(labels_of(line, tag)[1]) == len(expected), "a label for each slot and head")
    made = [row for row in line.read("samples", SAMPLE.decode) if str(row["request_id"]).startswith(tag)]
    assert {(row["user_id"] == bot, row["weight"]) for row in made} == {(True, 0.0), (False, 1.0)}
