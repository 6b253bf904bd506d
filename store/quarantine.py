"""Where a consumer of a topic sets aside a record that it cannot handle, and goes on with the next.

Such a record is written to topic `quarantine` as a dead letter with its place and the reason, and counted. Records
are read again after a restart, so one may be written twice: its key is its place. Where too large a share is set
aside, it is the program that is broken and not the records: the consumer stops and says so.
"""

import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import TypeAlias

import msgspec
from confluent_kafka import Message, Producer

from schemas.dead import DEAD, Dead
from schemas.topics import QUARANTINE

_FLUSH_S = 30.0
Send: TypeAlias = Callable[[bytes, bytes], None]
"""Write one record of topic `quarantine`: key, value."""


class Breaker(msgspec.Struct, frozen=True, kw_only=True):
    """When records set aside are too many: more than `share` of the last `window` records, and at least `least`."""

    share: float = 0.5
    window: int = 1000
    least: int = 100


class TooManySetAside(RuntimeError):
    """So many records cannot be handled that the consumer is broken, or reads a topic of another version."""


class Quarantine:
    """One consumer's. `reasons`: how many were set aside since the start, by the first word of the reason."""

    def __init__(self, consumer: str, send: Send, breaker: Breaker | None = None) -> None:
        self.reasons: Counter[str] = Counter()
        self._consumer, self._send = consumer, send
        self._breaker = breaker or Breaker()
        self._good = self._bad = 0.0

    def handled(self, count: int = 1) -> None:
        """Count records that could be handled."""
        self._good += count
        self._forget()

    def set_aside(self, letter: Dead) -> None:
        """Write a record to the quarantine.

        Raises:
            TooManySetAside: the last records show that it is not the records that are broken.
        """
        kind = letter.reason.partition(":")[0]
        place = f"{letter.topic}/{letter.partition}/{letter.offset}"
        self._send(place.encode(), DEAD.encode(msgspec.structs.asdict(letter)))
        self.reasons[kind] += 1
        self._bad += 1
        total, breaker = self._good + self._bad, self._breaker
        if self._bad >= breaker.least and self._bad > breaker.share * total:
            message = (
                f"{self._consumer} set aside {self._bad:.0f} of its last {total:.0f} records, more than "
                f"{breaker.share:.0%}; the last was {place}: {letter.reason}. Read them with `headrace dead`, and "
                "update or repair this part: it is not the records"
            )
            raise TooManySetAside(message)
        self._forget()

    def message(self, message: Message, reason: str) -> None:
        """Set aside a record as it was read; raises as `set_aside` does."""
        self.set_aside(
            Dead(
                reason=reason,
                topic=message.topic() or "",
                partition=message.partition() or 0,
                offset=message.offset() or 0,
                payload=message.value(),
                at=message.timestamp()[1],
            )
        )

    def _forget(self) -> None:
        """Let older records count less: half of a full window."""
        if self._good + self._bad >= self._breaker.window:
            self._good, self._bad = self._good / 2, self._bad / 2


def reason_of(error: Exception) -> str:
    """The reason of a record that made a consumer fail in a way nobody foresaw."""
    return f"internal: {type(error).__name__}: {error}"[:500]


class KafkaSend:
    """Writes to topic `quarantine`; the connection is made when it is first needed."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._producer: Producer | None = None

    def __call__(self, key: bytes, value: bytes) -> None:
        """Write one record, and see that the broker has it: the offset of what was set aside may be committed next."""
        if self._producer is None:
            settings: dict[str, str | int | bool] = {"bootstrap.servers": self._bootstrap, "enable.idempotence": True}
            self._producer = Producer(settings)
        self._producer.produce(QUARANTINE.name, key=key, value=value)
        if self._producer.flush(_FLUSH_S):
            sys.stderr.write(f"topic {QUARANTINE.name} did not take {key.decode()} within {_FLUSH_S:g} s\n")


def now_ms() -> int:
    """The wall clock, for a record whose append time is not known."""
    return time.time_ns() // 1_000_000
