"""Where a consumer of a topic sets aside a record that it cannot handle, and goes on with the next.

Such a record is written to topic `quarantine` as a dead letter with its place and the reason, and counted. Records
are read again after a restart, so one may be written twice: its key is its place. Where too large a share is set
aside, it is the program that is broken and not the records: the consumer stops and says so.
"""

import time
from collections import Counter
from collections.abc import Callable
from typing import TypeAlias

import msgspec
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from schemas.breaker import Breaker
from schemas.dead_letter import REASON_CHARS, DeadLetter
from schemas.limits import RECORD_BYTES
from schemas.topics import QUARANTINE
from store.kafka_clients import producer

_FLUSH_S = 30.0
Send: TypeAlias = Callable[[bytes, bytes], None]
"""Write one record of topic `quarantine`: key, value."""


class Quarantine:
    """One consumer's. `reasons`: how many were set aside since the start, by the first word of the reason."""

    def __init__(self, consumer: str, send: Send, breaker: Breaker | None = None) -> None:
        self.reasons: Counter[str] = Counter()
        self._consumer, self._send = consumer, send
        self._breaker = breaker or Breaker()

    def count_handled(self, count: int = 1) -> None:
        """Count records that could be handled."""
        self._breaker.count_passed(count)

    def set_aside(self, letter: DeadLetter) -> None:
        """Write a record to the quarantine.

        Raises:
            BrokenProgram: too many of the last records were set aside. KafkaException: the broker does not have it.
        """
        letter = msgspec.structs.replace(letter, reason=letter.reason[:REASON_CHARS])
        kind = letter.reason.partition(":")[0]
        place = f"{letter.topic}/{letter.partition}/{letter.offset}"
        self._send(place.encode(), letter.value())
        self.reasons[kind] += 1
        self._breaker.count_failed(f"{place}, read by {self._consumer}", letter.reason)

    def set_aside_message(self, message: Message, reason: str) -> None:
        """Set aside a record as it was read; raises as `set_aside` does."""
        self.set_aside(
            DeadLetter(
                reason=reason,
                topic=message.topic() or "",
                partition=message.partition() or 0,
                offset=message.offset() or 0,
                payload=_kept(message.value()),
                at=message.timestamp()[1],
            )
        )


def _kept(payload: bytes | None) -> bytes | None:
    """A letter must fit into its topic."""
    return payload and payload[:RECORD_BYTES]


class KafkaSend:
    """Writes to topic `quarantine`; the connection is made when it is first needed."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._producer: Producer | None = None

    def __call__(self, key: bytes, value: bytes) -> None:
        """Write one record, and see that the broker has it: the offset of what was set aside may be committed next.

        Raises:
            KafkaException: the broker does not have it.
        """
        if self._producer is None:
            self._producer = producer(self._bootstrap)
        faults: list[KafkaError] = []

        def delivered(fault: KafkaError | None, _: object) -> None:
            faults.extend([fault] if fault else [])

        self._producer.produce(QUARANTINE.name, key=key, value=value, on_delivery=delivered)
        if self._producer.flush(_FLUSH_S):
            message = f"topic {QUARANTINE.name} did not take {key.decode()} within {_FLUSH_S:g} s"
            faults.append(KafkaError(KafkaError._TIMED_OUT, message))
        if faults:
            raise KafkaException(faults[0])


def now_ms() -> int:
    """The wall clock, for a record whose append time is not known."""
    return time.time_ns() // 1_000_000
