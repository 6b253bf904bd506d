"""A stretch of topic `samples` between two times of the learner's clock, found on the log."""

from collections.abc import Iterator

from confluent_kafka import Message
from msgspec import Struct

from headrace.errors import UsageProblem
from headrace.timestamps import utc
from schemas.samples import decode_sample
from schemas.topics import SAMPLES
from store.log import bounds, offsets_at, read_to_end


class SampleRange(Struct, frozen=True, kw_only=True):
    """Offsets from `begin` up to before `until`, how many samples they hold, and when the first and last were known."""

    begin: int
    until: int
    samples: int
    first_ms: int
    last_ms: int


def find_sample_range(bootstrap: str, *, from_ms: int, until_ms: int, whole: bool) -> SampleRange:
    """The samples from the first one known at `from_ms` or after up to the first one known at `until_ms` or after.

    Args:
        bootstrap: the broker.
        from_ms: the beginning.
        until_ms: the end.
        whole: whether the log must go back to the beginning; otherwise what it holds will do.

    Raises:
        UsageProblem: there is none, or the log begins later. KafkaException: the broker does not answer.
    """
    near, low = _begins(bootstrap, from_ms)
    first: tuple[int, int] | None = None
    count, end, last_ms, goes_back = 0, 0, 0, not 0 < near == low
    for offset, known_at in _known(read_to_end(bootstrap, SAMPLES.name, {0: near})):
        if known_at >= until_ms:
            break
        if first is None and known_at < from_ms:
            goes_back = True
            continue
        first = first or (offset, known_at)
        count, end, last_ms = count + 1, offset + 1, max(last_ms, known_at)
    if first is None:
        message = (
            f"no sample was known from {utc(from_ms)} to {utc(until_ms)}; see what there is with "
            "`headrace tail samples`, or restore an archive with `headrace samples restore`"
        )
        raise UsageProblem(message)
    begin, first_ms = first
    if whole and not goes_back:
        message = (
            f"the log of samples begins at {utc(first_ms)}, after --from {utc(from_ms)}: what came before has passed "
            "its retention; name a later time, or restore an archive with `headrace samples restore`"
        )
        raise UsageProblem(message)
    return SampleRange(begin=begin, until=end, samples=count, first_ms=first_ms, last_ms=last_ms)


def samples_since(bootstrap: str, offset: int) -> int:
    """How many samples the log holds from an offset on."""
    _, low = _begins(bootstrap, 0)
    return sum(1 for _ in read_to_end(bootstrap, SAMPLES.name, {0: max(offset, low)}))


def offset_at(bootstrap: str, at_ms: int) -> int:
    """Where on the log samples stand that were written at a time or after; those known then stand there too."""
    return _begins(bootstrap, at_ms)[0]


def _known(log: Iterator[Message]) -> Iterator[tuple[int, int]]:
    """Offsets and `known_at`; what is no sample is passed over, as the learner does."""
    for message in log:
        sample = decode_sample(message.value() or b"")
        if sample is not None:
            yield message.offset() or 0, sample.known_at


def _begins(bootstrap: str, at_ms: int) -> tuple[int, int]:
    """(an offset before which nothing was known at `at_ms` or after, where the log begins).

    A sample is known before it is written, so the log's own time finds the first candidate.
    """
    return offsets_at(bootstrap, SAMPLES.name, at_ms)[0], bounds(bootstrap, SAMPLES.name)[SAMPLES.name, 0][0]
