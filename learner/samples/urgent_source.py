"""Reads topic `samples.urgent`: up to the manifest's offset for a version on the log, to the end for a new one."""

from collections import deque
from collections.abc import Iterator

from confluent_kafka import KafkaException

from headrace.learner.samples.source import decode_message
from headrace.learner.samples.urgent_state import Row
from headrace.learner.versions.published_versions import PublishedVersions
from headrace.schemas.topics import SAMPLES_URGENT
from headrace.schemas.versions.version_policy import VersionId
from headrace.store.kafka.log import LogReader

_POLL_COUNT, _POLL_S = 1000, 1.0
_NOT_ASSIGNED = -1


class UrgentSamples:
    """Reads topic `samples.urgent`. Samples that retention has removed are skipped: `samples` has them too."""

    def __init__(self, bootstrap: str, model: str, published: PublishedVersions) -> None:
        self._published = published
        self._next = _NOT_ASSIGNED  # the offset to yield next
        self._read: deque[Row] = deque()
        self._log = LogReader(bootstrap, SAMPLES_URGENT.name, {}, group=f"learner-{model}-urgent")

    def rows(self, version: VersionId, begin: int, clock_ms: int) -> Iterator[Row]:
        """Yield the samples that a version about to be made may learn. Those not consumed are yielded again.

        Raises:
            KafkaException: a fatal error, or the broker does not answer and the version is on the log.
        """
        limit = self._published.urgent_end(version, clock_ms)
        end = self._end(limit)
        if begin != self._next:
            self._next = begin
            self._read.clear()
            self._log.assign({0: begin})
        more = True
        while more:
            while self._read and self._read[0][0] < end:
                yield self._read[0]
                self._next = self._read.popleft()[0] + 1
            # for a new version, what is missing may be in an open transaction: the next version reads it
            more = not self._read and self._log.next[0] < end and (self._poll() or limit is not None)

    def close(self) -> None:
        """Leave the topic."""
        self._log.close()

    def _poll(self) -> bool:
        """Read on, and return whether the reader moved. At the topic's end it moves past transaction markers too."""
        before = self._log.next[0]
        messages = self._log.read(_POLL_S, count=_POLL_COUNT)
        self._read.extend((message.offset() or 0, decode_message(message)) for message in messages)
        return self._log.next[0] > before

    def _end(self, limit: int | None) -> int:
        """Return up to which offset a version may read: its limit, or for a new version the topic's end now."""
        if limit == 0:
            return 0
        try:
            end = self._log.bounds()[1]
        except KafkaException:
            if limit is not None:
                raise
            return 0  # a new version can do without urgent samples
        return end if limit is None else min(end, limit)
