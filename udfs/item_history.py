"""The catalogue as of any time: every record of topic `items`, looked up by item and time.

A regular join would retract, a temporal join would wait for watermarks; a Python worker that tails the
topic stamps each event once, with what was known when it was received.
"""

from bisect import bisect_right

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from schemas.catalogue import ITEM
from schemas.topics import ITEMS

Columns = tuple[object, ...]


class ItemHistory:
    """Item columns by item and `received_at`."""

    def __init__(self, columns: tuple[str, ...]) -> None:
        self.columns = columns
        self._times: dict[str, list[int]] = {}
        self._values: dict[str, list[Columns]] = {}
        self._nothing: Columns = (None,) * len(columns)

    def add(self, item_id: str, received_at: int, values: Columns) -> None:
        """Take in one record. Of two records with one time the later in the log stands behind the earlier."""
        times = self._times.setdefault(item_id, [])
        place = bisect_right(times, received_at)
        times.insert(place, received_at)
        self._values.setdefault(item_id, []).insert(place, values)

    def at(self, item_id: str | None, received_at: int) -> Columns:
        """The columns of the latest record with a time not after `received_at`; all None where there is none."""
        times = self._times.get(item_id) if item_id is not None else None
        place = bisect_right(times, received_at) if times else 0
        return self._values[item_id][place - 1] if place and item_id is not None else self._nothing


class ItemTail:
    """Keeps an `ItemHistory` level with the end of topic `items`."""

    def __init__(self, bootstrap: str, history: ItemHistory) -> None:
        self.history = history
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": "ingest-items",  # offsets are never committed: each worker reads the whole topic
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 20,
            }
        )
        self._partitions = [TopicPartition(ITEMS.name, p, 0) for p in range(ITEMS.partitions)]
        self._consumer.assign(self._partitions)
        self._next = dict.fromkeys(range(ITEMS.partitions), 0)

    def catch_up(self) -> None:
        """Read up to what is the end of the topic now, so that an event finds every record appended before it."""
        for partition in self._partitions:
            _, end = self._consumer.get_watermark_offsets(partition, timeout=10)
            while self._next[partition.partition] < end:
                self._take(self._consumer.poll(1.0))  # not consume(): it waits until it has all it was asked for

    def close(self) -> None:
        """Leave the topic."""
        self._consumer.close()

    def _take(self, message: Message | None) -> None:
        if message is None:
            return
        error = message.error()
        if error is not None and error.code() != KafkaError._PARTITION_EOF:
            raise KafkaException(error)
        partition, offset, payload = message.partition(), message.offset(), message.value()
        if partition is not None and offset is not None:
            self._next[partition] = offset + (error is None)
        if error is None and payload is not None:
            item = ITEM.decode(payload)
            values = tuple(item.get(column) for column in self.history.columns)
            self.history.add(item["item_id"], item["received_at"], values)
