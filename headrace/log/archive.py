"""Archives topic `samples` as Parquet files, one per range of offsets, and restores them.

A file `samples-FIRST-NEXT.parquet` holds the records from offset FIRST up to but not including NEXT, where the next
file begins. Its columns: offset, key, record (Avro, schemas/samples.py). A file gets its name once it is whole on disk.
"""

import sys
from itertools import islice, pairwise
from pathlib import Path
from typing import Annotated

import pyarrow as pa
from confluent_kafka import KafkaError, Message, Producer
from cyclopts import Parameter
from msgspec import Struct
from pyarrow import parquet

from headrace.connections.kafka_clients import producer
from headrace.errors import EnvironmentProblem, UsageProblem
from headrace.layout import Layout
from headrace.schemas.topics import SAMPLES
from headrace.store.files import replace_file
from headrace.store.log import bounds, read_to_end

_ROWS = 50_000  # per file, at most
_COLUMNS = pa.schema([("offset", pa.int64()), ("key", pa.binary()), ("record", pa.binary())])
_FLUSH_S = 60.0


class ArchiveFile(Struct, frozen=True, order=True):
    """One file: offsets from `first` up to but not including `next`."""

    first: int
    next: int

    @property
    def name(self) -> str:
        """The file's name; names sort in the order of offsets."""
        return f"samples-{self.first:019d}-{self.next:019d}.parquet"

    @staticmethod
    def from_path(path: Path) -> "ArchiveFile":
        """Parse a file's name.

        Raises:
            UsageProblem: it is not a file of an archive.
        """
        try:
            _, first, next_offset = path.stem.split("-")
            return ArchiveFile(int(first), int(next_offset))
        except ValueError:
            message = f"{path} is not a file of an archive, expected samples-FIRST-NEXT.parquet; move it elsewhere"
            raise UsageProblem(message) from None


def archive(*, to: Path) -> None:
    """Write the samples on the log after an archive's end to Parquet files.

    Args:
        to: the archive's folder; each run continues where the previous one ended.
    """
    files, rows = write_files(Layout.here().endpoints().bootstrap, to)
    sys.stdout.write(f"{rows} samples in {files} files to {to}\n")


def restore(*, source: Annotated[Path, Parameter(name="--from")]) -> None:
    """Write an archive back to the log of samples, which must be empty.

    The order is kept, but offsets are not, so a learner's earlier snapshots do not fit. Move them away.

    Args:
        source: the archive's folder.
    """
    rows = write_back(Layout.here().endpoints().bootstrap, source)
    sys.stdout.write(f"{rows} samples restored; offsets differ, so move the learner's snapshots away\n")


def write_files(bootstrap: str, folder: Path) -> tuple[int, int]:
    """Write files up to the log's end; returns (files, rows) written.

    Raises:
        UsageProblem: the log does not continue where the archive ends. KafkaException: the broker stopped answering.
    """
    folder.mkdir(parents=True, exist_ok=True)
    present = list_files(folder)
    begin = _next_offset(bootstrap, folder, present[-1].next if present else None)
    log, files, rows = read_to_end(bootstrap, SAMPLES.name, {0: begin}), 0, 0
    while batch := list(islice(log, _ROWS)):
        begin = _write(folder, begin, batch)
        files, rows = files + 1, rows + len(batch)
    return files, rows


def list_files(folder: Path) -> list[ArchiveFile]:
    """The files of an archive, by offset.

    Raises:
        UsageProblem: there is a gap between two files.
    """
    found = sorted(ArchiveFile.from_path(path) for path in folder.glob("*.parquet"))
    for before, after in pairwise(found):
        if after.first != before.next:
            message = f"{folder} lacks the samples from offset {before.next} to {after.first}; put their file back"
            raise UsageProblem(message)
    return found


def write_back(bootstrap: str, folder: Path) -> int:
    """Append every row to the empty topic, in order; returns the number of rows.

    Raises:
        UsageProblem: the topic is not empty, or the folder is.
        EnvironmentProblem: the broker did not accept all rows.
    """
    found, (_, end) = list_files(folder), bounds(bootstrap, SAMPLES.name)[SAMPLES.name, 0]
    if not found:
        message = f"{folder} holds no samples-FIRST-NEXT.parquet; name the folder of an archive"
        raise UsageProblem(message)
    if end:
        message = f"topic {SAMPLES.name} has held records up to offset {end}, must be new; run `headrace down --wipe`"
        raise UsageProblem(message)
    client = producer(bootstrap, {"compression.type": "lz4"})
    return sum(_send(client, parquet.read_table(folder / file.name)) for file in found)


def _send(producer: Producer, table: pa.Table) -> int:
    refused: list[str] = []

    def on_delivery(error: KafkaError | None, _: Message) -> None:
        if error is not None:
            refused.append(error.str())

    for key, record in zip(table["key"].to_pylist(), table["record"].to_pylist(), strict=True):
        while True:
            try:
                producer.produce(SAMPLES.name, record, key, partition=0, on_delivery=on_delivery)
                break
            except BufferError:  # the client's queue is full; wait for the broker
                producer.poll(1.0)
        producer.poll(0)
    left = producer.flush(_FLUSH_S) + len(refused)
    if left:
        why = f" ({refused[0]})" if refused else ""
        message = f"{left} samples were not accepted{why} within {_FLUSH_S:g} s; look at kafka.log, wipe, restore again"
        raise EnvironmentProblem(message)
    return len(table)


def _next_offset(bootstrap: str, folder: Path, archived: int | None) -> int:
    """The offset at which the next file begins, where `archived` is the end of the last file.

    Raises:
        UsageProblem: the archive's end is not on the log.
    """
    begin, end = bounds(bootstrap, SAMPLES.name)[SAMPLES.name, 0]
    if archived is None:
        return begin
    if not begin <= archived <= end:
        message = (
            f"{folder} ends at offset {archived}, the log holds {begin} to {end}: it is another log, or samples in "
            "between have passed their retention; name a new folder"
        )
        raise UsageProblem(message)
    return archived


def _write(folder: Path, first: int, batch: list[Message]) -> int:
    """Write one file whole, or not at all; returns the offset at which the next one begins."""
    offsets = [message.offset() or 0 for message in batch]
    entry = ArchiveFile(first, offsets[-1] + 1)
    columns = [offsets, [message.key() for message in batch], [message.value() for message in batch]]
    with replace_file(folder / entry.name) as file:
        parquet.write_table(pa.table(columns, schema=_COLUMNS), file, compression="zstd")
    return entry.next
