"""Topic `samples.urgent`: for a version on the log read as far as its manifest says, for a new one to the end."""

from collections.abc import Iterator

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from learner.ahead import Row
from learner.ledger import Ledger
from learner.source import read
from schemas.course import Place
from schemas.topics import SAMPLES_URGENT

_POLL_COUNT, _POLL_S = 1000, 1.0
_ASK_S = 10.0
_ASTRAY = -1


class UrgentLane:
    """One reader. What retention has taken is passed over: `samples` has it."""

    def __init__(self, bootstrap: str, model: str, ledger: Ledger) -> None:
        self._ledger = ledger
        self._next = _ASTRAY  # the offset that the last call read up to
        self._at = 0  # where the reader stands: at an end, behind the markers of transactions too
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

    def rows(self, place: Place, begin: int) -> Iterator[Row]:
        """The rows that a version, about to be cut, may take.

        Raises:
            KafkaException: reading cannot go on.
        """
        made = self._ledger.entry(place)
        end = self._end() if made is None else made.urgent
        if begin != self._next:
            self._at = begin
            self._consumer.assign([TopicPartition(SAMPLES_URGENT.name, 0, begin)])
        self._next, last = _ASTRAY, begin  # astray if whoever asks stops before the end
        at_end = False
        while self._at < end and not at_end:
            messages = self._consumer.consume(_POLL_COUNT, _POLL_S)
            for message in messages:
                error, offset = message.error(), message.offset() or 0
                if error is not None:
                    at_end |= self._is_end(error)
                elif offset >= end:
                    return
                else:
                    self._at = last = offset + 1
                    yield offset, read(message.value() or b"")
            if not messages and made is None:
                break  # what is missing is in an open transaction, or the broker is away: the next cut takes it
        self._at = max(self._at, end) if at_end else self._at
        self._next = last

    def close(self) -> None:
        """Leave the topic."""
        self._consumer.close()

    @staticmethod
    def _is_end(error: KafkaError) -> bool:
        if error.fatal():
            raise KafkaException(error)
        return error.code() == KafkaError._PARTITION_EOF

    def _end(self) -> int:
        """Where the topic ends now; 0 while the broker is away, so that nothing is read."""
        try:
            return self._consumer.get_watermark_offsets(TopicPartition(SAMPLES_URGENT.name, 0), timeout=_ASK_S)[1]
        except KafkaException:
            return 0
