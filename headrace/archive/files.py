"""The files of an archive: one holds a range of offsets of a partition, appended within one hour.

`TOPIC/date=2026-11-30/hour=09/PARTITION-FIRST-NEXT.parquet` holds the records from offset FIRST up to but not including
NEXT, where the partition's next file begins. The topic's name is without the environment's prefix.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import pairwise

import pyarrow as pa
from msgspec import Struct

from headrace.errors import UsageProblem
from headrace.store.location import Location, LocationProblem

COLUMNS = pa.schema(
    [
        ("partition", pa.int32()),
        ("offset", pa.int64()),
        ("appended_at", pa.timestamp("ms", "UTC")),
        ("key", pa.binary()),
        ("value", pa.binary()),
        ("headers", pa.list_(pa.struct([("name", pa.string()), ("value", pa.binary())]))),
    ]
)
HOUR_MS = 3_600_000
_NAME = re.compile(r"date=(\d{4}-\d\d-\d\d)/hour=(\d\d)/(\d+)-(\d+)-(\d+)\.parquet")


class ArchiveFile(Struct, frozen=True, order=True, kw_only=True):
    """One file: offsets from `first` up to but not including `next`, appended in the hour that begins at `hour_ms`."""

    partition: int
    first: int
    next: int
    hour_ms: int

    @property
    def name(self) -> str:
        """Its path below the topic's folder; names of a partition sort in the order of offsets."""
        hour = datetime.fromtimestamp(self.hour_ms / 1000, UTC)
        return f"date={hour:%Y-%m-%d}/hour={hour:%H}/{self.partition}-{self.first:019d}-{self.next:019d}.parquet"


class Gap(Struct, frozen=True):
    """Offsets of a partition that no file holds, from `first` up to but not including `next`."""

    partition: int
    first: int
    next: int

    def __str__(self) -> str:
        """Text for reports."""
        return f"partition {self.partition}, offsets {self.first} to {self.next - 1}"


def list_archive(location: Location, topic: str) -> list[ArchiveFile]:
    """The files of a topic, by partition and offset.

    Raises:
        UsageProblem: there is a Parquet file with another name, or the location cannot be read.
    """
    folder = f"{location.path}/{topic}/"
    try:
        paths = [each.path for each in location.files(topic) if each.extension == "parquet"]
    except LocationProblem:
        raise
    except OSError as error:
        message = f"{location.text} cannot be read: {error}"
        raise UsageProblem(message) from error
    return sorted(_parse(path.removeprefix(folder), folder) for path in paths)


def _parse(name: str, folder: str) -> ArchiveFile:
    found = _NAME.fullmatch(name)
    if found is None:
        message = f"{folder}{name} is not a file of an archive, expected date=…/hour=…/P-FIRST-NEXT.parquet; move it"
        raise UsageProblem(message)
    day, hour, partition, first, next_offset = found.groups()
    try:
        begin = datetime.fromisoformat(f"{day}T{hour}:00:00+00:00")
    except ValueError as error:
        message = f"{folder}{name} is of no hour: {error}; move it"
        raise UsageProblem(message) from error
    return ArchiveFile(
        partition=int(partition), first=int(first), next=int(next_offset), hour_ms=int(begin.timestamp() * 1000)
    )


def gaps(files: Iterable[ArchiveFile]) -> list[Gap]:
    """The offsets that are missing between the files of each partition, given in their order."""
    return [
        Gap(before.partition, before.next, after.first)
        for before, after in pairwise(files)
        if before.partition == after.partition and before.next < after.first
    ]
