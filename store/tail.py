"""Reads a topic of one partition from its beginning and then follows it."""

import contextlib

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from schemas.topics import Topic

_BATCH = 1000
_LEADER_S = 1.0


class Tail:
    """`at_end` turns true when the end was reached for the first time. Only committed records are seen."""

    def __init__(self, bootstrap: str, topic: Topic) -> None:
        self.at_end = False
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": f"tail-{topic.name}",  # never committed: each process reads all of it
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 50,
                "reconnect.backoff.ms": 500,  # each failure is a line in the log
                "reconnect.backoff.max.ms": 2000,
            }
        )
        self._topic = topic.name
        place = TopicPartition(topic.name, 0, OFFSET_BEGINNING)
        # Asked for, the topic's leader is known in some 20 ms; left to itself the client looks for it after 500 ms.
        with contextlib.suppress(KafkaException):  # a broker that is away is waited for
            self._consumer.get_watermark_offsets(place, timeout=_LEADER_S)
        self._consumer.assign([place])

    def read(self, timeout_s: float) -> list[Message]:
        """The next records, none after `timeout_s` without one. A broker that is away is waited for.

        Raises:
            KafkaException: reading cannot go on.
        """
        messages: list[Message] = []
        for message in self._consumer.consume(_BATCH, timeout_s):
            error = message.error()
            if error is None:
                messages.append(message)
            elif error.code() == KafkaError._PARTITION_EOF:
                self.at_end = True
            elif error.fatal():
                raise KafkaException(error)
        return messages

    def seek(self, offset: int) -> None:
        """Read on from an offset, back or ahead; `at_end` turns false."""
        self.at_end = False
        self._consumer.assign([TopicPartition(self._topic, 0, offset)])

    def close(self) -> None:
        """Leave the topic."""
        self._consumer.close()
