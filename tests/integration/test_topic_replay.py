"""A topic is replayed from a time, and dead letters are sent again, on a real broker: nothing is missing or twice."""

import json
from collections.abc import Iterator

import msgspec
import pytest
from confluent_kafka import TopicPartition

from headrace.connections.kafka_clients import admin, producer
from headrace.errors import UsageProblem
from headrace.layout import Endpoints
from headrace.log import dead_letters, redrive
from headrace.log.dead_letters import DeadLetterFilter
from headrace.log.topics import create_topics
from headrace.replay.topic_replay import Coverage, ReplayRequest, replay_topic
from headrace.schemas.dead_letter import DeadLetter
from headrace.schemas.times import now_ms
from headrace.schemas.topics import EVENTS, EVENTS_CLEAN, EVENTS_DEAD
from headrace.stack import broker
from headrace.store.kafka.log import read_to_end, read_values
from headrace.wait import wait_until

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]


class Interrupted(Exception):
    """The replay is stopped by the test."""


@pytest.fixture(scope="module")
def endpoints(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoints]:
    with broker.running(tmp_path_factory.mktemp("broker")) as started:
        yield started


def append(bootstrap: str, topic: str, values: list[bytes]) -> None:
    client = producer(bootstrap)
    for number, value in enumerate(values):
        client.produce(topic, value, None if topic == EVENTS_DEAD.name else b"u%d" % (number % 9))
    assert client.flush(30) == 0


def numbered(begin: int, end: int, **more: object) -> list[bytes]:
    return [json.dumps({"event_id": f"e{number}", "number": number, **more}).encode() for number in range(begin, end)]


def request(into: str, **given: object) -> ReplayRequest:
    return ReplayRequest(**{"topic": EVENTS.name, "from_ms": 0, "to_ms": None, "raw": True, "into": into, **given})


def run(endpoints: Endpoints, asked: ReplayRequest, *, stop_after: int | None = None) -> Coverage:
    def on_progress(written: int) -> None:
        if stop_after is not None and written >= stop_after:
            raise Interrupted

    return replay_topic(endpoints.bootstrap, asked, on_progress=on_progress)


def test_a_topic_is_replayed_between_two_times(endpoints: Endpoints) -> None:
    append(endpoints.bootstrap, EVENTS.name, numbered(0, 100))
    appended = max(message.timestamp()[1] for message in read_to_end(endpoints.bootstrap, EVENTS.name))
    wait_until(lambda: now_ms() > appended + 1, what="the next millisecond", deadline_s=5, hint="")
    append(
        endpoints.bootstrap, EVENTS.name, [*numbered(100, 5_100), b"not json", *numbered(5_100, 5_200, received_at=7)]
    )
    last = max(message.timestamp()[1] for message in read_to_end(endpoints.bootstrap, EVENTS.name))
    wait_until(lambda: now_ms() > last + 1, what="the next millisecond", deadline_s=5, hint="")
    append(endpoints.bootstrap, EVENTS.name, numbered(5_200, 5_300))

    asked = request("events.second", from_ms=appended + 1, to_ms=last + 1)
    with pytest.raises(Interrupted):
        run(endpoints, asked, stop_after=2_000)
    coverage = run(endpoints, asked)
    assert coverage.resumed
    assert coverage.records.total() < 5_101
    assert run(endpoints, asked).records.total() == 0

    originals = {
        (each.partition(), each.value()): each.timestamp()[1] for each in read_to_end(endpoints.bootstrap, EVENTS.name)
    }
    copies = list(read_to_end(endpoints.bootstrap, "events.second"))
    found = [json.loads(each.value() or b"") for each in copies if each.value() != b"not json"]
    assert len(copies) == len(found) + 1
    assert sorted(each["number"] for each in found) == list(range(100, 5_200))
    assert {each["received_at"] for each in found if each["number"] >= 5_100} == {7}
    for each in copies[:50]:
        event = json.loads(each.value() or b"")
        original = json.dumps({"event_id": event["event_id"], "number": event["number"]}).encode()
        assert originals[each.partition(), original] == event["received_at"]


def test_a_replay_into_its_own_topic_or_one_of_other_partitions_is_refused(endpoints: Endpoints) -> None:
    with pytest.raises(UsageProblem, match="would count every record twice"):
        run(endpoints, request(EVENTS.name))
    with pytest.raises(UsageProblem, match="jobs of this environment read"):
        run(endpoints, request(EVENTS_CLEAN.name))
    create_topics(endpoints.bootstrap, [msgspec.structs.replace(EVENTS_DEAD, name="narrow")])
    with pytest.raises(UsageProblem, match="1 partitions and events 4"):
        run(endpoints, request("narrow"))
    with pytest.raises(UsageProblem, match="give a later end"):
        run(endpoints, request("copy", from_ms=9, to_ms=9))
    with pytest.raises(UsageProblem, match="there is no topic evnts"):
        run(endpoints, request("copy", topic="evnts"))


def test_a_range_that_the_log_no_longer_holds_is_said(endpoints: Endpoints) -> None:
    append(endpoints.bootstrap, EVENTS_CLEAN.name, [b"x"] * 400)
    whole = run(endpoints, request("clean.again", topic=EVENTS_CLEAN.name, raw=False, from_ms=5))
    assert (whole.records.total(), whole.late_begin) == (400, "")
    partition = max(whole.records)
    client = admin(endpoints.bootstrap)
    for future in client.delete_records([TopicPartition(EVENTS_CLEAN.name, partition, 7)]).values():
        future.result()
    cut = run(endpoints, request("clean.cut", topic=EVENTS_CLEAN.name, raw=False, from_ms=5))
    assert cut.records.total() == 393
    assert "the log begins within this range" in "\n".join(cut.lines())


def letter(offset: int, payload: bytes | None, *, topic: str = EVENTS.name, reason: str = "range: x") -> bytes:
    at = 1_790_000_000_000 + offset
    return DeadLetter(reason=reason, topic=topic, partition=offset % 4, offset=offset, payload=payload, at=at).value()


def test_dead_letters_are_sent_again_once(endpoints: Endpoints) -> None:
    before = sum(1 for _ in read_values(endpoints.bootstrap, EVENTS.name))
    letters = [letter(number, b'{"event_id": "d%d"}' % number) for number in range(30)]
    letters += [letter(30, None), letter(31, b"x", topic=EVENTS_CLEAN.name), letter(32, b"{}", reason="late: y")]
    append(endpoints.bootstrap, EVENTS_DEAD.name, letters)

    def again(reason: str = "") -> redrive.Redriven:
        found = dead_letters.read(endpoints, DeadLetterFilter(reason=reason))
        return redrive.redrive(endpoints.bootstrap, found, topics={EVENTS.name})

    first = again("range")
    assert (first.sent.total(), first.kept.total()) == (30, 2)
    assert again("range").sent.total() == 0
    assert again().sent.total() == 1
    sent = [json.loads(value) for value in read_values(endpoints.bootstrap, EVENTS.name) if b'"d' in value]
    assert len(sent) == 30
    assert all(each["received_at"] == 1_790_000_000_000 + int(each["event_id"][1:]) for each in sent)
    assert sum(1 for _ in read_values(endpoints.bootstrap, EVENTS.name)) == before + 31
    assert [each.offset for each in dead_letters.read(endpoints, DeadLetterFilter())] == [30, 31]
