"""Sets aside records that a consumer cannot handle, so that it continues with the next one.

Such a record is written to topic `quarantine` as a dead letter with its topic, partition, offset and reason, and is
counted. Records are read again after a restart, so one may be written twice; its key is `topic/partition/offset`. If
too large a share is set aside, the program must be broken rather than the records, and the consumer stops.
"""

from collections import Counter
from collections.abc import Callable
from typing import TypeAlias

import msgspec
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from headrace.connections.kafka_clients import producer
from headrace.schemas.breaker import Breaker
from headrace.schemas.dead_letter import REASON_CHARS, DeadLetter
from headrace.schemas.limits import RECORD_BYTES
from headrace.schemas.topics import QUARANTINE

_FLUSH_S = 30.0
Send: TypeAlias = Callable[[bytes, bytes], None]
"""Write one record of topic `quarantine`: key, value."""


class Quarantine:
    """The quarantine of one consumer. `reasons` counts records set aside since the start, by code of the reason."""

    def __init__(self, consumer: str, send: Send, breaker: Breaker | None = None) -> None:
        self.reasons: Counter[str] = Counter()
        self._consumer, self._send = consumer, send
        self._breaker = breaker or Breaker()

    def count_handled(self, count: int = 1) -> None:
        """Count records that were handled."""
        self._breaker.count_passed(count)

    def set_aside(self, dead_letter: DeadLetter) -> None:
        """Write a dead letter to the quarantine.

        Raises:
            BrokenProgram: too many recent records were set aside. KafkaException: the broker did not accept it.
        """
        dead_letter = msgspec.structs.replace(dead_letter, reason=dead_letter.reason[:REASON_CHARS])
        code = dead_letter.reason.partition(":")[0]
        key = f"{dead_letter.topic}/{dead_letter.partition}/{dead_letter.offset}"
        self._send(key.encode(), dead_letter.value())
        self.reasons[code] += 1
        self._breaker.count_failed(f"{key}, read by {self._consumer}", dead_letter.reason)

    def set_aside_message(self, message: Message, reason: str) -> None:
        """Set aside a record as it was read. Raises as `set_aside` does."""
        self.set_aside(
            DeadLetter(
                reason=reason,
                topic=message.topic() or "",
                partition=message.partition() or 0,
                offset=message.offset() or 0,
                payload=_shortened(message.value()),
                at=message.timestamp()[1],
            )
        )


def _shortened(payload: bytes | None) -> bytes | None:
    """The beginning of a payload that fits into the topic."""
    return payload and payload[:RECORD_BYTES]


class KafkaSend:
    """Writes to topic `quarantine`; connects on first use."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._producer: Producer | None = None

    def __call__(self, key: bytes, value: bytes) -> None:
        """Write one record and wait for the broker, because the offset of the record set aside may be committed next.

        Raises:
            KafkaException: the broker did not accept it.
        """
        if self._producer is None:
            self._producer = producer(self._bootstrap)
        faults: list[KafkaError] = []

        def delivered(fault: KafkaError | None, _: object) -> None:
            faults.extend([fault] if fault else [])

        self._producer.produce(QUARANTINE.name, key=key, value=value, on_delivery=delivered)
        if self._producer.flush(_FLUSH_S):
            message = f"topic {QUARANTINE.name} did not accept {key.decode()} within {_FLUSH_S:g} s"
            faults.append(KafkaError(KafkaError._TIMED_OUT, message))
        if faults:
            raise KafkaException(faults[0])
