"""Reads topic `samples` in order, from an offset on."""

from collections.abc import Iterable, Iterator
from typing import Protocol

from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, KafkaError, KafkaException, Message

from headrace.learner.samples.urgent_state import Row
from headrace.schemas.samples import Sample, decode_sample
from headrace.schemas.times import AHEAD_MS, PLAUSIBLE_MS
from headrace.schemas.topics import SAMPLES
from headrace.store.kafka.log import LogReader

_POLL_COUNT = 1000


class SamplesGone(LookupError):
    """An offset is no longer on the log."""


class SampleLog(Protocol):
    """A log of samples that can be read from any offset."""

    @property
    def ended(self) -> bool:
        """Whether everything on the log has been read."""
        ...

    def seek(self, offset: int) -> None:
        """Continue from an offset."""
        ...

    def bounds(self) -> tuple[int, int]:
        """Return where the log begins and ends."""
        ...

    def read(self, timeout_s: float) -> Iterable[Row]:
        """Return the next samples."""
        ...


class Source(SampleLog, Protocol):
    """A log that the learner process reads: `Samples`, or `BoundedSource` for a replay."""

    @property
    def warning(self) -> str:
        """The broker's last non-fatal error, or empty."""
        ...

    def commit(self, offset: int) -> None:
        """Report how far samples are learned, for monitoring."""
        ...

    def close(self) -> None:
        """Leave the topic."""
        ...


class Samples:
    """Reads topic `samples`. `warning`: the broker's last non-fatal error, or empty."""

    def __init__(self, bootstrap: str, model: str) -> None:
        self.warning = ""
        self._offset = self._committed = 0
        never_skip = {"auto.offset.reset": "error"}
        self._log = LogReader(
            bootstrap, SAMPLES.name, {}, on_error=self._handle_error, group=f"learner-{model}", settings=never_skip
        )

    @property
    def ended(self) -> bool:
        """Whether everything on the log has been read."""
        return bool(self._log.ends)

    def seek(self, offset: int) -> None:
        """Continue from an offset; 0 means the beginning of the log."""
        self._offset = offset
        self._log.seek(offset)

    def bounds(self) -> tuple[int, int]:
        """Return where the log begins and ends now.

        Raises:
            KafkaException: the broker does not answer.
        """
        return self._log.bounds()

    def read(self, timeout_s: float) -> Iterator[Row]:
        """Yield the next samples; none after `timeout_s` without one.

        Raises:
            SamplesGone: the requested offset is not on the log. KafkaException: a fatal error.
        """
        self.warning = ""
        for message in self._log.read(timeout_s, count=_POLL_COUNT):
            yield message.offset() or 0, decode_message(message)

    def commit(self, offset: int) -> None:
        """Report to the broker how far samples are learned, for monitoring; a restart reads its snapshot instead.

        At the end of the log, report the end itself: the last sample is followed by its transaction's marker, which is
        no backlog.
        """
        offset = max(offset, *self._log.ends.values(), 0)
        if offset != self._committed:
            self._log.commit(offset)
            self._committed = offset

    def close(self) -> None:
        """Leave the topic."""
        self._log.close()

    def _handle_error(self, error: KafkaError) -> None:
        if error.code() == KafkaError._AUTO_OFFSET_RESET:
            message = (
                f"offset {self._offset} of {SAMPLES.name} is no longer on the log ({error}); "
                "move the snapshots away to start again, or train a model from an archive: "
                "`headrace train --archive FOLDER`"
            )
            raise SamplesGone(message)
        elif error.fatal():
            raise KafkaException(error)
        else:
            self.warning = error.str()


def decode_message(message: Message) -> Sample | str:
    """Return the sample in a record, or the reason code why it cannot be used."""
    kind, appended_ms = message.timestamp()
    if kind == TIMESTAMP_NOT_AVAILABLE:
        appended_ms = PLAUSIBLE_MS.stop
    return check_sample(decode_sample(message.value() or b""), appended_ms=appended_ms)


def check_sample(sample: Sample | None, *, appended_ms: int) -> Sample | str:
    """Return the sample, or the reason code why it cannot be used.

    A sample is known before it is written. One that claims otherwise could stop the clock, or the urgent lane, for
    good.
    """
    if sample is None:
        return "unreadable"
    is_time = sample.known_at in PLAUSIBLE_MS and sample.served_at in PLAUSIBLE_MS
    return sample if is_time and sample.known_at <= appended_ms + AHEAD_MS else "time"
