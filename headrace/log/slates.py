"""Finds a slate on topic `exposures`: from the newest record backwards, no further than it must."""

from collections.abc import Iterator
from contextlib import closing, suppress

import msgspec
from confluent_kafka import Message

from headrace.schemas.avro import Unreadable
from headrace.schemas.exposures import EXPOSURE, Exposure
from headrace.schemas.partition import partition_of
from headrace.schemas.times import now_ms
from headrace.schemas.topics import EXPOSURES
from headrace.store.kafka.log import LogReader, raise_any

_FIRST_MS, _GROWTH = 600_000, 6  # ten minutes, an hour, six hours, a day and a half, nine days
_SKEW_MS = 60_000  # between the clocks of serving and of the broker


class SlateLog:
    """The slates that were served, by append time."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap

    def find(self, request_id: str) -> Exposure | None:
        """The slate of a request. Its partition is read back to when it was appended.

        Raises:
            KafkaException: the broker does not answer.
        """
        for _, messages in self._backwards(request_id):
            for message in messages:
                if message.key() == request_id.encode() and (exposure := _decoded(message)) is not None:
                    return exposure
        return None

    def find_last(self, user: str, at_ms: int) -> Exposure | None:
        """A user's last slate up to a time. The log is read from its end back to when that slate was served.

        Its end counts, because a slate that was spooled while Kafka was away is appended long after it was served.

        Raises:
            KafkaException: the broker does not answer.
        """

        def is_wanted(message: Message) -> bool:
            headers = dict(message.headers() or [])
            return headers.get("user_id") == user.encode() and int(headers.get("received_at") or 0) <= at_ms

        newest: Exposure | None = None
        for begin_ms, messages in self._backwards():
            for exposure in map(_decoded, filter(is_wanted, messages)):
                if exposure is not None and (newest is None or exposure.received_at > newest.received_at):
                    newest = exposure
            if newest is not None and begin_ms + _SKEW_MS <= newest.received_at:
                break  # what was appended before was served before
        return newest

    def _backwards(self, key: str | None = None) -> Iterator[tuple[int, Iterator[Message]]]:
        """Stretches of the log, the newest first, each longer than the one before: (append time, its records).

        `key`: read only the partition that has it.
        """
        with closing(LogReader(self._bootstrap, EXPOSURES.name, {}, on_error=raise_any)) as log:
            numbers = log.partitions()
            partitions = numbers if key is None else [partition_of(key, len(numbers))]
            bounds = {partition: log.bounds(partition) for partition in partitions}
            ends, back_ms = {partition: high for partition, (_, high) in bounds.items()}, _FIRST_MS
            end_ms = begin_ms = now_ms()
            while begin_ms > 0 and any(ends[partition] > low for partition, (low, _) in bounds.items()):
                begin_ms = max(end_ms - back_ms, 0)
                found = log.offsets_at(begin_ms)
                begins = {partition: min(found[partition], end) for partition, end in ends.items()}
                log.assign(begins)
                yield begin_ms, log.read_to_end(ends=ends)
                ends, back_ms = begins, back_ms * _GROWTH


def _decoded(message: Message) -> Exposure | None:
    """The slate of a record; None without one, as in a tick, and for one that cannot be read."""
    with suppress(Unreadable, msgspec.ValidationError):
        value = message.value()
        return None if value is None else msgspec.convert(EXPOSURE.decode(value), Exposure)
    return None
