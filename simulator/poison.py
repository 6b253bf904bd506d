"""Poison records: each must become a dead letter with an expected reason code.

They go straight to the log, because the API would refuse them. The partition and offset of each is kept, to compare
with the dead letters at the end.
"""

from collections import Counter
from collections.abc import Callable
from typing import TypeAlias

import msgspec
from confluent_kafka import KafkaError, Message

from headrace.connections.kafka_clients import producer
from headrace.schemas.dead_letter import Reason
from headrace.schemas.topics import EVENTS

RecordOffset: TypeAlias = tuple[int, int]  # partition, offset
_MINUTE_MS = 60_000
_TOO_LARGE = 300_000


def _event(number: int, now_ms: int, **changes: object) -> bytes:
    fields = {"event_id": f"poison-{number}", "user_id": f"p{number}", "event_type": "click", "occurred_at": now_ms}
    return msgspec.json.encode({**fields, "received_at": now_ms, **changes})


KINDS: tuple[tuple[Reason, Callable[[int, int], bytes | None]], ...] = (
    ("json", lambda number, now_ms: _event(number, now_ms)[:-9]),
    ("json", lambda number, now_ms: b"\xff\xfe" + _event(number, now_ms)),
    ("json", lambda number, now_ms: _event(number, now_ms) + b"}"),
    ("type", lambda number, now_ms: b"[" + _event(number, now_ms) + b"]"),
    ("type", lambda number, now_ms: _event(number, now_ms, occurred_at="noon")),
    ("type", lambda number, now_ms: _event(number, now_ms, position=1.5)),
    ("missing", lambda number, now_ms: msgspec.json.encode({"event_id": f"poison-{number}", "occurred_at": now_ms})),
    ("late", lambda number, now_ms: _event(number, now_ms, occurred_at=now_ms - 20 * _MINUTE_MS)),
    ("future", lambda number, now_ms: _event(number, now_ms, occurred_at=now_ms + 10 * _MINUTE_MS)),
    ("oversize", lambda number, now_ms: _event(number, now_ms, context={"pad": "x" * _TOO_LARGE})),
    ("null", lambda number, now_ms: None),
)


class PoisonProducer:
    """Writes the kinds of poison in turn."""

    def __init__(self, bootstrap: str) -> None:
        self._producer = producer(bootstrap, {"linger.ms": 5})
        self._sent = 0
        self.expected: Counter[str] = Counter()
        self.codes: dict[RecordOffset, Reason] = {}  # the expected reason code of each record

    @property
    def sent(self) -> int:
        """Records handed to the producer."""
        return self._sent

    def send(self, now_ms: int) -> None:
        """Write one poison record."""
        code, make = KINDS[self._sent % len(KINDS)]

        def delivered(error: KafkaError | None, message: Message) -> None:
            partition, offset = message.partition(), message.offset()
            if error is None and partition is not None and offset is not None:
                self.codes[partition, offset] = code

        self._producer.produce(EVENTS.name, make(self._sent, now_ms), f"p{self._sent}", on_delivery=delivered)
        self._producer.poll(0)
        self.expected[code] += 1
        self._sent += 1

    def flush(self, deadline_s: float = 10.0) -> None:
        """Wait until the broker has all records."""
        self._producer.flush(deadline_s)
