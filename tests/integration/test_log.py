"""The reader of the log on a real broker: to the end, from an offset, from a time, followed; and what errors do."""

from collections.abc import Iterator
from contextlib import closing

import pytest
from confluent_kafka import KafkaException, TopicPartition

from headrace.connections.kafka_clients import admin, consumer, producer
from headrace.layout import Endpoints
from headrace.schemas.topics import EVENTS, EXPOSURES, SAMPLES
from headrace.stack import broker
from headrace.store.kafka.lag import appended_offsets, end_offsets, has_read
from headrace.store.kafka.log import LogReader, bounds, offsets_at, raise_any, read_to_end, read_values
from headrace.wait import wait_until

pytestmark = [pytest.mark.stack, pytest.mark.timeout(180)]
_NEVER_MS = 4_000_000_000_000


@pytest.fixture(scope="module")
def endpoints(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoints]:
    """A broker whose `samples` hold abc and def, in two transactions, and an aborted one between them."""
    with broker.running(tmp_path_factory.mktemp("log") / "home") as running:
        client = producer(running.bootstrap, {"transactional.id": "test"})
        client.init_transactions(30)
        for values, commit in (("abc", True), ("xx", False), ("def", True)):
            client.begin_transaction()
            for value in values:
                client.produce(SAMPLES.name, value, partition=0)
            client.flush(30)  # what is aborted is on the log, too
            client.commit_transaction(30) if commit else client.abort_transaction(30)
        events = producer(running.bootstrap)
        for partition in range(EVENTS.partitions):
            for number in range(partition):
                events.produce(EVENTS.name, f"{partition}.{number}", partition=partition)
        assert not events.flush(30)
        yield running


def test_only_committed_records_are_read_to_the_end(endpoints: Endpoints) -> None:
    assert b"".join(read_values(endpoints.bootstrap, SAMPLES.name)) == b"abcdef"
    assert b"".join(read_values(endpoints.bootstrap, SAMPLES.name, {0: 2})) == b"cdef"
    newest = read_to_end(endpoints.bootstrap, SAMPLES.name, last=2)  # the end is a marker
    assert [each.value() for each in newest] == [b"f"]


def test_every_partition_is_read_from_where_it_is_asked_for(endpoints: Endpoints) -> None:
    everything = set(read_values(endpoints.bootstrap, EVENTS.name))
    assert everything == {f"{p}.{n}".encode() for p in range(EVENTS.partitions) for n in range(p)}
    second = dict.fromkeys(range(EVENTS.partitions), 1)
    assert set(read_values(endpoints.bootstrap, EVENTS.name, second)) == {
        each for each in everything if not each.endswith(b".0")
    }


def test_bounds_and_times_of_a_topic(endpoints: Endpoints) -> None:
    assert bounds(endpoints.bootstrap, SAMPLES.name, "no-such-topic") == {(SAMPLES.name, 0): (0, 11)}
    assert bounds(endpoints.bootstrap, EVENTS.name)[EVENTS.name, EVENTS.partitions - 1] == (0, EVENTS.partitions - 1)
    assert offsets_at(endpoints.bootstrap, SAMPLES.name, 0) == {0: 0}
    assert offsets_at(endpoints.bootstrap, SAMPLES.name, _NEVER_MS) == {0: 11}
    *_, newest = read_to_end(endpoints.bootstrap, SAMPLES.name)
    at_ms = newest.timestamp()[1]
    (begin,) = offsets_at(endpoints.bootstrap, SAMPLES.name, at_ms).values()
    later = [each.offset() for each in read_to_end(endpoints.bootstrap, SAMPLES.name) if each.timestamp()[1] >= at_ms]
    assert later == [each.offset() for each in read_to_end(endpoints.bootstrap, SAMPLES.name, {0: begin})]
    assert list(read_values(endpoints.bootstrap, "no-such-topic")) == []


def test_a_reader_follows_seeks_and_knows_where_it_is(endpoints: Endpoints) -> None:
    with closing(LogReader(endpoints.bootstrap, SAMPLES.name)) as reader:
        found: list[bytes | None] = []

        def caught_up() -> bool:
            found.extend(each.value() for each in reader.read(0.5))
            return reader.at_end

        wait_until(caught_up, what="the end", deadline_s=20, hint="Look at kafka.log.")
        assert b"".join(filter(None, found)) == b"abcdef"
        assert (reader.next, reader.ends) == ({0: 11}, {0: 11})
        reader.seek(7)
        assert not reader.at_end
        found.clear()
        wait_until(caught_up, what="the end", deadline_s=20, hint="Look at kafka.log.")
        assert b"".join(filter(None, found)) == b"def"


def test_an_error_is_raised_or_waited_out_as_the_caller_says(endpoints: Endpoints) -> None:
    strict = {"auto.offset.reset": "error"}
    beyond = {0: 1000}
    raising = LogReader(endpoints.bootstrap, SAMPLES.name, beyond, on_error=raise_any, settings=strict)
    with closing(raising) as reader, pytest.raises(KafkaException, match="AUTO_OFFSET_RESET"):
        list(reader.read_to_end())
    seen: list[str] = []
    with closing(
        LogReader(endpoints.bootstrap, SAMPLES.name, beyond, on_error=lambda e: seen.append(e.name()), settings=strict)
    ) as reader:
        wait_until(
            lambda: not reader.read(0.5) and bool(seen), what="the error", deadline_s=20, hint="Look at kafka.log."
        )
    assert seen == ["_AUTO_OFFSET_RESET"]


def test_a_group_has_not_read_what_an_open_transaction_holds(endpoints: Endpoints) -> None:
    broker_admin, where = admin(endpoints.bootstrap), (EXPOSURES.name, 0)
    client, group = producer(endpoints.bootstrap, {"transactional.id": "open"}), consumer(endpoints.bootstrap, "lag")

    def commit(offset: int) -> None:
        group.commit(offsets=[TopicPartition(*where, offset)], asynchronous=False)

    client.init_transactions(30)
    client.begin_transaction()
    client.produce(EXPOSURES.name, b"a", partition=0)
    client.flush(30)
    commit(0)
    ends = appended_offsets(broker_admin, [where])
    assert (ends, end_offsets(broker_admin, [where])) == ({where: 1}, {where: 0})
    assert not has_read(endpoints.bootstrap, broker_admin, "lag", ends)
    client.commit_transaction(30)
    assert not has_read(endpoints.bootstrap, broker_admin, "lag", ends)
    commit(1)
    assert has_read(endpoints.bootstrap, broker_admin, "lag", ends)
