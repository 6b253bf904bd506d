"""`headrace topics archive`: appends what is new on topics to an archive."""

import sys
from collections.abc import Iterator
from itertools import groupby, islice

import pyarrow as pa
from confluent_kafka import Message
from msgspec import Struct

from headrace.archive.files import COLUMNS, HOUR_MS, ArchiveFile, Gap, list_archive
from headrace.errors import UsageProblem
from headrace.lang.planner.load import load_plan
from headrace.layout import FEATURES, Layout
from headrace.schemas.topics import EXPOSURES, ITEMS, SAMPLES, full_name, short_name
from headrace.store.kafka.log import bounds, read_to_end
from headrace.store.location import Location, parse_location

ROWS = 50_000
"""Of one file, at most."""


class Archived(Struct, frozen=True):
    """What a run has written, and what it could not: records that had passed their retention."""

    files: int
    rows: int
    lost: list[Gap]


def archive(to: str, *topics: str) -> None:
    """Append the new records of topics to an archive of Parquet files; run it more often than the topics' retention.

    Args:
        to: a folder, or an address such as s3://bucket/archive; each run continues where the previous one ended.
        topics: their names; by default the raw topic of every stream, exposures, items and samples.
    """
    bootstrap, location = Layout.here().endpoints().bootstrap, parse_location(to)
    for topic in map(full_name, topics or default_topics()):
        found = archive_topic(bootstrap, topic, location)
        sys.stdout.write(f"{topic}: {found.rows} records in {found.files} files\n")
        for gap in found.lost:
            sys.stdout.write(f"{topic}: {gap} had passed their retention before this run; archive more often\n")


def default_topics() -> list[str]:
    """The topics from which everything else can be computed again, and the samples."""
    streams = [source.topic for source in load_plan(FEATURES).sources]
    return [*dict.fromkeys(streams), EXPOSURES.name, ITEMS.name, SAMPLES.name]


def archive_topic(bootstrap: str, topic: str, location: Location) -> Archived:
    """Append a topic's new records, each partition from where the archive ends.

    Raises:
        UsageProblem: there is no such topic, or the archive is of another log.
        KafkaException: the broker does not answer.
    """
    name = short_name(topic)
    last = {file.partition: file for file in list_archive(location, name)}
    log = {partition: found for (_, partition), found in bounds(bootstrap, topic).items()}
    if not log:
        message = f"there is no topic {topic}; `headrace topics plan` lists those of this environment"
        raise UsageProblem(message)
    begins: dict[int, int] = {}
    lost: list[Gap] = []
    for partition, (low, high) in log.items():
        end = last[partition].next if partition in last else low
        if end > high:
            message = f"{location.text} ends at offset {end} of {topic}, and the log at {high}: name a new folder"
            raise UsageProblem(message)
        begins[partition] = max(low, end)
        lost += [Gap(partition, end, low)] if end < low else []
    files = rows = 0
    hours = {partition: file.hour_ms for partition, file in last.items()}
    for batch in _by_hour(read_to_end(bootstrap, topic, begins)):
        partition = batch[0].partition() or 0
        # the clock of another broker may be behind: the files of a partition stay in the order of their offsets
        hours[partition] = max(hours.get(partition, 0), batch[0].timestamp()[1] // HOUR_MS * HOUR_MS)
        begins[partition] = _write(location, name, begins[partition], batch, hour_ms=hours[partition])
        files, rows = files + 1, rows + len(batch)
    return Archived(files, rows, lost)


def _by_hour(log: Iterator[Message]) -> Iterator[list[Message]]:
    """The records of each partition and hour, in batches; the log comes partition by partition."""
    for _, records in groupby(log, key=lambda each: (each.partition(), each.timestamp()[1] // HOUR_MS)):
        while batch := list(islice(records, ROWS)):
            yield batch


def _write(location: Location, topic: str, first: int, batch: list[Message], *, hour_ms: int) -> int:
    """Write one file; returns the offset at which the partition's next one begins."""
    file = ArchiveFile(
        partition=batch[0].partition() or 0, first=first, next=(batch[-1].offset() or 0) + 1, hour_ms=hour_ms
    )
    columns = [
        [each.partition() for each in batch],
        [each.offset() for each in batch],
        [each.timestamp()[1] for each in batch],
        [each.key() for each in batch],
        [each.value() for each in batch],
        [[{"name": name, "value": _as_bytes(value)} for name, value in each.headers() or ()] for each in batch],
    ]
    arrays = [pa.array(column, kind) for column, kind in zip(columns, COLUMNS.types, strict=True)]
    location.write_table(f"{topic}/{file.name}", pa.Table.from_arrays(arrays, schema=COLUMNS))
    return file.next


def _as_bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value
