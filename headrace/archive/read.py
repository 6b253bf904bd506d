"""The records of an archive between two times, hour by hour, in the order in which they were appended."""

from collections.abc import Iterator, Mapping, Sequence
from heapq import merge
from itertools import groupby
from math import inf

from msgspec import Struct

from headrace.archive.files import HOUR_MS, ArchiveFile, Gap, gaps, list_archive
from headrace.errors import UsageProblem
from headrace.store.location import Location

_ROWS = 2_000


class LogRecord(Struct, frozen=True, kw_only=True):
    """A record as it was on a topic; `appended_ms` is its append time."""

    partition: int
    offset: int
    appended_ms: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]


class ArchiveRange:
    """The records of a topic that were appended from one time up to, but not including, another."""

    def __init__(self, location: Location, topic: str, *, from_ms: int, to_ms: int | None) -> None:
        """List the files; without `to_ms` the range ends where the archive ends.

        Raises:
            UsageProblem: the archive has nothing of this topic, or cannot be read.
        """
        files = list_archive(location, topic)
        if not files:
            message = f"{location.text} has no files of topic {topic}; name the folder of an archive"
            raise UsageProblem(message)
        self._location, self._topic = location, topic
        self._from_ms, self._to_ms = from_ms, inf if to_ms is None else to_ms
        self._files = [
            each for each in files if each.hour_ms + HOUR_MS > from_ms and each.hour_ms < self._to_ms + HOUR_MS
        ]
        self.partitions = 1 + max(each.partition for each in files)
        self.begins_ms = min(each.hour_ms for each in files)

    @property
    def missing(self) -> list[Gap]:
        """Offsets within the range that no file holds."""
        return gaps(self._files)

    def read(self, done: Mapping[int, int]) -> Iterator[LogRecord]:
        """The records, without those before an offset of their partition.

        Raises:
            UsageProblem: a file is damaged.
        """
        reached = dict(done)
        by_hour = sorted(self._files, key=lambda each: (each.hour_ms, each.partition, each.first))
        for _, of_hour in groupby(by_hour, key=lambda each: each.hour_ms):
            lanes = [
                self._lane(list(files), reached.get(partition, 0))
                for partition, files in groupby(of_hour, key=lambda each: each.partition)
            ]
            for record in merge(*lanes, key=lambda record: record.appended_ms):
                reached[record.partition] = record.offset + 1
                yield record

    def _lane(self, files: Sequence[ArchiveFile], begin: int) -> Iterator[LogRecord]:
        """The records of one partition in one hour, in the order of their offsets."""
        for file in files:
            if file.next <= begin:
                continue
            for record in self._records(file):
                if record.offset >= begin and self._from_ms <= record.appended_ms < self._to_ms:
                    yield record
            begin = file.next  # two runs at once may have written a record twice

    def _records(self, file: ArchiveFile) -> Iterator[LogRecord]:
        path = f"{self._location.path}/{self._topic}/{file.name}"
        try:
            for batch in self._location.open_parquet(path).iter_batches(_ROWS):
                columns = batch.set_column(2, "appended_ms", batch.column("appended_at").cast("int64")).to_pylist()
                for row in columns:
                    headers = [(each["name"], each["value"]) for each in row.pop("headers") or ()]
                    yield LogRecord(**row, headers=headers)
        except (OSError, ValueError) as error:
            message = f"{path} cannot be read: {error}; put the file back from a copy"
            raise UsageProblem(message) from error
