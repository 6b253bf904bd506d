"""Topic `samples` as the learner reads it: in order, from an offset on."""

from collections.abc import Iterable, Iterator
from typing import Protocol

from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, KafkaError, KafkaException, Message

from learner.urgent_state import Row
from schemas.samples import Sample, decode_sample
from schemas.times import AHEAD_MS, PLAUSIBLE_MS
from schemas.topics import SAMPLES
from store.log import LogReader

_POLL_COUNT = 1000


class SamplesGone(LookupError):
    """An offset is no longer on the log."""


class SampleLog(Protocol):
    """A log of samples."""

    @property
    def ended(self) -> bool:
        """Whether what was there has been read."""
        ...

    def seek(self, offset: int) -> None:
        """Read on from an offset."""
        ...

    def bounds(self) -> tuple[int, int]:
        """Where the log begins and ends."""
        ...

    def read(self, timeout_s: float) -> Iterable[Row]:
        """The next samples."""
        ...


class Source(SampleLog, Protocol):
    """One that a process reads; `Samples` is one, `stretch.BoundedSource` another."""

    @property
    def warning(self) -> str:
        """What the broker last said, else empty."""
        ...

    def commit(self, offset: int) -> None:
        """Tell those who watch how far samples are learnt."""
        ...

    def close(self) -> None:
        """Leave the topic."""
        ...


class Samples:
    """One reader. `ended`: what was there has been read; `warning`: what the broker last said, else empty."""

    def __init__(self, bootstrap: str, model: str) -> None:
        self.warning = ""
        self._offset = self._committed = 0
        never_skip = {"auto.offset.reset": "error"}
        self._log = LogReader(
            bootstrap, SAMPLES.name, {}, on_error=self._complain, group=f"learner-{model}", settings=never_skip
        )

    @property
    def ended(self) -> bool:
        """Whether what was there has been read."""
        return bool(self._log.ends)

    def seek(self, offset: int) -> None:
        """Read on from an offset; 0 takes the log from where it begins."""
        self._offset = offset
        self._log.seek(offset)

    def bounds(self) -> tuple[int, int]:
        """Where the log begins and ends now.

        Raises:
            KafkaException: the broker is away.
        """
        return self._log.bounds()

    def read(self, timeout_s: float) -> Iterator[Row]:
        """The next samples; none after `timeout_s` without one.

        Raises:
            SamplesGone: the offset asked for is not on the log. KafkaException: reading cannot go on.
        """
        self.warning = ""
        for message in self._log.read(timeout_s, count=_POLL_COUNT):
            yield message.offset() or 0, decode_message(message)

    def commit(self, offset: int) -> None:
        """Tell the broker how far samples are learnt, for those who watch the lag; a restart goes by its snapshot.

        At the log's end that is its end: behind the last sample lies the marker of its transaction, which waits for
        nobody.
        """
        offset = max(offset, *self._log.ends.values(), 0)
        if offset != self._committed:
            self._log.commit(offset)
            self._committed = offset

    def close(self) -> None:
        """Leave the topic."""
        self._log.close()

    def _complain(self, error: KafkaError) -> None:
        if error.code() == KafkaError._AUTO_OFFSET_RESET:
            message = (
                f"offset {self._offset} of {SAMPLES.name} is no longer on the log ({error}); "
                "move the snapshots away to start anew, where there is an archive on a new topic that "
                "`headrace samples restore --from FOLDER` has filled"
            )
            raise SamplesGone(message)
        elif error.fatal():
            raise KafkaException(error)
        else:
            self.warning = error.str()


def decode_message(message: Message) -> Sample | str:
    """The sample in a record, or the code of why there is none."""
    kind, appended_ms = message.timestamp()
    if kind == TIMESTAMP_NOT_AVAILABLE:
        appended_ms = PLAUSIBLE_MS.stop
    return check_sample(decode_sample(message.value() or b""), appended_ms=appended_ms)


def check_sample(sample: Sample | None, *, appended_ms: int) -> Sample | str:
    """The sample; else the code of what is wrong with it.

    A sample is known before it is written: one that would not be could hold up the clock, or the urgent lane, for good.
    """
    if sample is None:
        return "unreadable"
    is_time = sample.known_at in PLAUSIBLE_MS and sample.served_at in PLAUSIBLE_MS
    return sample if is_time and sample.known_at <= appended_ms + AHEAD_MS else "time"
