"""Topic `samples.urgent`: for a version on the log read as far as its manifest says, for a new one to the end."""

from collections import deque
from collections.abc import Iterator

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from learner.ledger import Ledger
from learner.source import sample_in
from learner.urgent_state import Row
from schemas.topics import SAMPLES_URGENT
from schemas.version_policy import Place

_POLL_COUNT, _POLL_S = 1000, 1.0
_ASK_S = 10.0
_ASTRAY = -1


class UrgentLane:
    """One reader. What retention has taken is passed over: `samples` has it."""

    def __init__(self, bootstrap: str, model: str, ledger: Ledger) -> None:
        self._ledger = ledger
        self._next = self._at = _ASTRAY  # the offset to give next, and the one to read next
        self._read: deque[Row] = deque()
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": f"learner-{model}-urgent",
                "enable.auto.commit": False,  # the offset is in the snapshot
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
                "enable.partition.eof": True,
            }
        )

    def rows(self, place: Place, begin: int, clock_ms: int) -> Iterator[Row]:
        """The rows that a version, about to be cut, may take. One that is not taken comes again.

        Raises:
            KafkaException: reading cannot go on, or the broker is away and the version on the log.
        """
        limit = self._ledger.lane_end(place, clock_ms)
        end = self._end(limit)
        if begin != self._next:
            self._next = self._at = begin
            self._read.clear()
            self._consumer.assign([TopicPartition(SAMPLES_URGENT.name, 0, begin)])
        more = True
        while more:
            while self._read and self._read[0][0] < end:
                yield self._read[0]
                self._next = self._read.popleft()[0] + 1
            # for a new version what is missing may be in an open transaction: the next cut takes it
            more = not self._read and self._at < end and (self._poll() or limit is not None)

    def close(self) -> None:
        """Leave the topic."""
        self._consumer.close()

    def _poll(self) -> bool:
        """Read on; whether anything came. At the topic's end the reader stands behind the markers there, too."""
        messages = self._consumer.consume(_POLL_COUNT, _POLL_S)
        for message in messages:
            error, offset = message.error(), message.offset() or 0
            if error is None:
                self._read.append((offset, sample_in(message)))
                self._at = offset + 1
            elif error.code() == KafkaError._PARTITION_EOF:
                self._at = max(self._at, offset)
            elif error.fatal():
                raise KafkaException(error)
        return bool(messages)

    def _end(self, limit: int | None) -> int:
        """Up to where a cut may read: to its limit, a new version to where the topic ends now."""
        if limit == 0:
            return 0
        try:
            end = self._consumer.get_watermark_offsets(TopicPartition(SAMPLES_URGENT.name, 0), timeout=_ASK_S)[1]
        except KafkaException:
            if limit is not None:
                raise
            return 0  # a new version can do without
        return end if limit is None else min(end, limit)
