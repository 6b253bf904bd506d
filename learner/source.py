"""Topic `samples` as the learner reads it: in order, from an offset on."""

from collections.abc import Iterable, Iterator
from typing import Protocol

from confluent_kafka import (
    OFFSET_BEGINNING,
    TIMESTAMP_NOT_AVAILABLE,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from learner.urgent_state import Row
from schemas.avro import Unreadable
from schemas.samples import SAMPLE, Sample
from schemas.times import AHEAD_MS, PLAUSIBLE_MS
from schemas.topics import SAMPLES

_POLL_COUNT = 1000
_ASK_S = 10.0


class SamplesGone(LookupError):
    """An offset is no longer on the log."""


class Rows(Protocol):
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


class Source(Rows, Protocol):
    """One that a process reads; `Samples` is one, `stretch.Stretch` another."""

    @property
    def complaint(self) -> str:
        """What the broker last said, else empty."""
        ...

    def commit(self, offset: int) -> None:
        """Tell those who watch how far samples are learnt."""
        ...

    def close(self) -> None:
        """Leave the topic."""
        ...


class Samples:
    """One reader. `ended`: what was there has been read; `complaint`: what the broker last said, else empty."""

    def __init__(self, bootstrap: str, model: str) -> None:
        self.ended = False
        self.complaint = ""
        self._offset = self._end = self._committed = 0
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": f"learner-{model}",
                "enable.auto.commit": False,  # the offset is in the snapshot
                "isolation.level": "read_committed",
                "auto.offset.reset": "error",  # never skip silently
                "enable.partition.eof": True,
            }
        )

    def seek(self, offset: int) -> None:
        """Read on from an offset; 0 takes the log from where it begins."""
        self.ended, self._offset = False, offset
        self._consumer.assign([TopicPartition(SAMPLES.name, 0, offset or OFFSET_BEGINNING)])

    def bounds(self) -> tuple[int, int]:
        """Where the log begins and ends now.

        Raises:
            KafkaException: the broker is away.
        """
        return self._consumer.get_watermark_offsets(TopicPartition(SAMPLES.name, 0), timeout=_ASK_S)

    def read(self, timeout_s: float) -> Iterator[Row]:
        """The next samples; none after `timeout_s` without one.

        Raises:
            SamplesGone: the offset asked for is not on the log. KafkaException: reading cannot go on.
        """
        self.complaint = ""
        for message in self._consumer.consume(_POLL_COUNT, timeout_s):
            error = message.error()
            if error is not None:
                self._complain(error, message.offset())
                continue
            self.ended = False
            offset = message.offset()
            if offset is not None:
                yield offset, sample_in(message)

    def commit(self, offset: int) -> None:
        """Tell the broker how far samples are learnt, for those who watch the lag; a restart goes by its snapshot.

        At the log's end that is its end: behind the last sample lies the marker of its transaction, which waits for
        nobody.
        """
        offset = max(offset, self._end) if self.ended else offset
        if offset != self._committed:
            self._consumer.commit(offsets=[TopicPartition(SAMPLES.name, 0, offset)], asynchronous=True)
            self._committed = offset

    def close(self) -> None:
        """Leave the topic."""
        self._consumer.close()

    def _complain(self, error: KafkaError, offset: int | None) -> None:
        if error.code() == KafkaError._PARTITION_EOF:
            self.ended, self._end = True, offset or 0
        elif error.code() == KafkaError._AUTO_OFFSET_RESET:
            message = (
                f"offset {self._offset} of {SAMPLES.name} is no longer on the log ({error}); "
                "move the snapshots away to start anew, where there is an archive on a new topic that "
                "`headrace samples restore --from FOLDER` has filled"
            )
            raise SamplesGone(message)
        elif error.fatal():
            raise KafkaException(error)
        else:
            self.complaint = error.str()


def sample_in(message: Message) -> Sample | str:
    """The sample in a record, or the code of why there is none."""
    kind, appended_ms = message.timestamp()
    if kind == TIMESTAMP_NOT_AVAILABLE:
        appended_ms = PLAUSIBLE_MS.stop
    return usable(read(message.value() or b""), appended_ms=appended_ms)


def usable(sample: Sample | None, *, appended_ms: int) -> Sample | str:
    """The sample; else the code of what is wrong with it.

    A sample is known before it is written: one that would not be could hold up the clock, or the urgent lane, for good.
    """
    if sample is None:
        return "unreadable"
    is_time = sample.known_at in PLAUSIBLE_MS and sample.served_at in PLAUSIBLE_MS
    return sample if is_time and sample.known_at <= appended_ms + AHEAD_MS else "time"


def read(value: bytes) -> Sample | None:
    """A record of topic `samples`; None when it is none."""
    try:
        return Sample(**SAMPLE.decode(value))
    except (Unreadable, TypeError):
        return None
