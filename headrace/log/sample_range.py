"""Finds the range of topic `samples` between two times of the learner's clock."""

from collections.abc import Iterator
from typing import Protocol

from msgspec import Struct

from headrace.errors import UsageProblem
from headrace.schemas.samples import decode_sample
from headrace.schemas.topics import SAMPLES
from headrace.store.kafka.log import bounds, offsets_at, read_to_end
from headrace.timestamps import utc


class SampleRange(Struct, frozen=True, kw_only=True):
    """Offsets from `begin` up to but not including `until`, the number of samples, first and last `known_at`."""

    begin: int
    until: int
    samples: int
    first_ms: int
    last_ms: int


class SampleHistory(Protocol):
    """Samples by offset: those of the log, or of an archive and then the log."""

    def bounds_at(self, at_ms: int) -> tuple[int, int]:
        """(an offset before which no sample was known at or after `at_ms`, the offset of the first sample)."""
        ...

    def known(self, begin: int) -> Iterator[tuple[int, int]]:
        """Offset and `known_at` of each sample from an offset on; records that are not samples are skipped."""
        ...


class LogHistory:
    """The samples that the log still holds."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap

    def bounds_at(self, at_ms: int) -> tuple[int, int]:
        """The bounds; a sample is known before it is written, so the log's own time finds the first candidate."""
        return _bounds_at(self._bootstrap, at_ms)

    def known(self, begin: int) -> Iterator[tuple[int, int]]:
        """The samples, up to the log's end. Raises KafkaException if the broker does not answer."""
        for message in read_to_end(self._bootstrap, SAMPLES.name, {0: begin}):
            sample = decode_sample(message.value() or b"")
            if sample is not None:
                yield message.offset() or 0, sample.known_at


def find_sample_range(history: SampleHistory, *, from_ms: int, until_ms: int, whole: bool) -> SampleRange:
    """The samples from the first one known at or after `from_ms` up to the first one known at or after `until_ms`.

    Args:
        history: the samples.
        from_ms: the beginning.
        until_ms: the end.
        whole: whether the history must reach back to `from_ms`; otherwise whatever it holds is enough.

    Raises:
        UsageProblem: there is no sample, or the history begins later. KafkaException: the broker does not answer.
    """
    near, low = history.bounds_at(from_ms)
    first: tuple[int, int] | None = None
    count, end, last_ms, reaches_back = 0, 0, 0, not 0 < near == low
    for offset, known_at in history.known(near):
        if known_at >= until_ms:
            break
        if first is None and known_at < from_ms:
            reaches_back = True
            continue
        first = first or (offset, known_at)
        count, end, last_ms = count + 1, offset + 1, max(last_ms, known_at)
    if first is None:
        message = (
            f"there are no samples from {utc(from_ms)} to {utc(until_ms)} (UTC); look at the log with "
            "`headrace tail samples`, or name an archive with --archive"
        )
        raise UsageProblem(message)
    begin, first_ms = first
    if whole and not reaches_back:
        message = (
            f"the log of samples begins at {utc(first_ms)}, after --from {utc(from_ms)}: earlier samples have passed "
            "their retention; name a later time, or an archive that holds them with --archive"
        )
        raise UsageProblem(message)
    return SampleRange(begin=begin, until=end, samples=count, first_ms=first_ms, last_ms=last_ms)


def samples_since(bootstrap: str, offset: int) -> int:
    """The number of samples on the log from an offset on."""
    _, low = _bounds_at(bootstrap, 0)
    return sum(1 for _ in read_to_end(bootstrap, SAMPLES.name, {0: max(offset, low)}))


def offset_at(bootstrap: str, at_ms: int) -> int:
    """Offset of the first sample written at or after a time; samples known at or after it are also from there on."""
    return _bounds_at(bootstrap, at_ms)[0]


def _bounds_at(bootstrap: str, at_ms: int) -> tuple[int, int]:
    """(an offset before which no sample was known at or after `at_ms`, the offset at which the log begins)."""
    return offsets_at(bootstrap, SAMPLES.name, at_ms)[0], bounds(bootstrap, SAMPLES.name)[SAMPLES.name, 0][0]
