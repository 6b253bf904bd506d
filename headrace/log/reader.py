"""A topic read from where one likes to where it ends now."""

from collections.abc import Iterator, Sequence

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

_BATCH = 5000
_ASK_S = 10.0
_POLL_S = 0.2  # the end of a partition fills no batch: what is there is taken when this has passed


def values(bootstrap: str, topic: str, begins: Sequence[int] | None = None) -> Iterator[bytes]:
    """What the committed records that are there now hold; as `messages` otherwise."""
    for message in messages(bootstrap, topic, begins):
        value = message.value()
        if value is not None:
            yield value


def messages(
    bootstrap: str, topic: str, begins: Sequence[int] | None = None, *, last: int | None = None
) -> Iterator[Message]:
    """The committed records that are there now, partition by partition.

    Args:
        bootstrap: the broker.
        topic: its name.
        begins: the first offset of each partition; by default all that the topic holds.
        last: at most that many of the newest offsets of each partition.

    Raises:
        KafkaException: the broker went away.
    """
    settings = {"bootstrap.servers": bootstrap, "group.id": "read", "enable.auto.commit": False}
    consumer = Consumer(settings | {"isolation.level": "read_committed", "enable.partition.eof": True})
    try:
        partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        for partition in partitions:
            begin = OFFSET_BEGINNING if begins is None else begins[partition]
            if last is not None:
                low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=_ASK_S)
                begin = max(begin, low, high - last)
            consumer.assign([TopicPartition(topic, partition, begin)])
            yield from _to_the_end(consumer)
    finally:
        consumer.close()


def _to_the_end(consumer: Consumer) -> Iterator[Message]:
    at_end = False
    while not at_end:
        for message in consumer.consume(_BATCH, timeout=_POLL_S):
            error = message.error()
            at_end |= error is not None and error.code() == KafkaError._PARTITION_EOF
            if error is not None and not at_end:
                raise KafkaException(error)
            if error is None:
                yield message
