"""The samples of an archive, and after its end those of the log, for a training that reaches back beyond the log."""

from collections.abc import Iterator
from itertools import islice

from headrace.archive.files import HOUR_MS, ArchiveFile, gaps, list_archive
from headrace.archive.read import ArchiveRange, LogRecord
from headrace.errors import UsageProblem
from headrace.learner.samples.source import Samples, check_sample
from headrace.learner.samples.urgent_state import Row
from headrace.log.sample_range import LogHistory, SampleHistory
from headrace.schemas.samples import decode_sample
from headrace.schemas.topics import SAMPLES, short_name
from headrace.store.kafka.log import bounds
from headrace.store.location import Location, parse_location

_TOPIC = short_name(SAMPLES.name)
_COUNT = 1_000


class SampleArchive:
    """The samples of an archive; offsets are those that they had on the log.

    Attributes:
        next: the offset after the last one.
    """

    def __init__(self, location: Location) -> None:
        """List the files.

        Raises:
            UsageProblem: there are none, or one is missing between two others.
        """
        self.files: list[ArchiveFile] = list_archive(location, _TOPIC)
        missing = gaps(self.files)
        if not self.files or missing:
            what = f"lacks {', '.join(map(str, missing))}" if missing else "has no samples"
            message = f"{location.text} {what}; name an archive that `headrace topics archive` has written"
            raise UsageProblem(message)
        self.next = self.files[-1].next
        self._range = ArchiveRange(location, _TOPIC, from_ms=0, to_ms=None)

    def read(self, begin: int) -> Iterator[LogRecord]:
        """The records from an offset on."""
        return self._range.read({0: begin})


class ArchivedHistory:
    """The samples of an archive and then of the log, to find a range in."""

    def __init__(self, archive: SampleArchive, bootstrap: str) -> None:
        """Raises UsageProblem if the log does not continue where the archive ends."""
        low, high = bounds(bootstrap, SAMPLES.name)[SAMPLES.name, 0]
        if high and not low <= archive.next <= high:
            message = (
                f"the archive ends at offset {archive.next}, and the log holds {low} to {high}: it is another log, or "
                "samples in between have passed their retention; archive more often"
            )
            raise UsageProblem(message)
        self._archive, self._log = archive, LogHistory(bootstrap)

    def bounds_at(self, at_ms: int) -> tuple[int, int]:
        """The bounds: a sample is known before it is written, so the hour of a file finds the first candidate."""
        files = self._archive.files
        near = next((each.first for each in files if each.hour_ms + HOUR_MS > at_ms), self._archive.next)
        return near, files[0].first

    def known(self, begin: int) -> Iterator[tuple[int, int]]:
        """The samples of both."""
        for record in self._archive.read(begin):
            sample = decode_sample(record.value or b"")
            if sample is not None:
                yield record.offset, sample.known_at
        yield from self._log.known(max(begin, self._archive.next))


class ArchivedSamples:
    """Reads the samples of an archive and then of the log, as `Samples` does."""

    def __init__(self, archive: SampleArchive, log: Samples) -> None:
        self._archive, self._log = archive, log
        self._records: Iterator[LogRecord] | None = None

    @property
    def ended(self) -> bool:
        """Whether everything on the log has been read."""
        return self._records is None and self._log.ended

    @property
    def warning(self) -> str:
        """The broker's last non-fatal error, or empty."""
        return self._log.warning

    def seek(self, offset: int) -> None:
        """Continue from an offset; 0 means the beginning of the archive."""
        self._records = self._archive.read(offset) if offset < self._archive.next else None
        if self._records is None:
            self._log.seek(offset)

    def bounds(self) -> tuple[int, int]:
        """Return where the archive begins and where the log ends."""
        return self._archive.files[0].first, max(self._log.bounds()[1], self._archive.next)

    def read(self, timeout_s: float) -> Iterator[Row]:
        """Yield the next samples; as `Samples.read`."""
        if self._records is None:
            yield from self._log.read(timeout_s)
            return
        records = list(islice(self._records, _COUNT))
        for record in records:
            yield record.offset, check_sample(decode_sample(record.value or b""), appended_ms=record.appended_ms)
        if not records:
            self._records = None
            self._log.seek(self._archive.next)

    def commit(self, offset: int) -> None:
        """Report to the broker how far samples are learned."""
        self._log.commit(offset)

    def close(self) -> None:
        """Leave the topic."""
        self._log.close()


def history_of(bootstrap: str, archive: str) -> SampleHistory:
    """The samples that a training can be of: those of the log, or of an archive and the log.

    Raises:
        UsageProblem: the archive cannot be used.
    """
    if not archive:
        return LogHistory(bootstrap)
    return ArchivedHistory(SampleArchive(parse_location(archive)), bootstrap)


def samples_of(bootstrap: str, model: str, archive: str) -> Samples | ArchivedSamples:
    """The source that a training of these samples reads; raises as `history_of` does."""
    log = Samples(bootstrap, model)
    return ArchivedSamples(SampleArchive(parse_location(archive)), log) if archive else log
