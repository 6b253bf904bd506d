"""Topic `samples` as Parquet files, a range of offsets each, and back.

A file is `samples-FIRST-NEXT.parquet`: the records from offset FIRST on, up to before NEXT, where the next file
begins. Its columns: offset, key, record (Avro, schemas/samples.py). A file has its name once all of it is on the disk.
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

from headrace.errors import EnvironmentProblem, UsageProblem
from headrace.layout import Layout
from schemas.topics import SAMPLES
from store.files import replace_file
from store.kafka_clients import producer
from store.log import bounds, read_to_end

_ROWS = 50_000  # a file, at most
_COLUMNS = pa.schema([("offset", pa.int64()), ("key", pa.binary()), ("record", pa.binary())])
_FLUSH_S = 60.0


class ArchiveFile(Struct, frozen=True, order=True):
    """One file: its offsets, from `first` on to before `next`."""

    first: int
    next: int

    @property
    def name(self) -> str:
        """Its name; files sort as their offsets do."""
        return f"samples-{self.first:019d}-{self.next:019d}.parquet"

    @staticmethod
    def from_path(path: Path) -> "ArchiveFile":
        """The part that a file is.

        Raises:
            UsageProblem: it is none.
        """
        try:
            _, first, following = path.stem.split("-")
            return ArchiveFile(int(first), int(following))
        except ValueError:
            message = f"{path} is no file of an archive, expected samples-FIRST-NEXT.parquet; move it elsewhere"
            raise UsageProblem(message) from None


def archive(*, to: Path) -> None:
    """Write what the log of samples holds beyond an archive's end to Parquet files.

    Args:
        to: the archive's folder; a run goes on where the one before ended.
    """
    files, rows = write_files(Layout.here().endpoints().bootstrap, to)
    sys.stdout.write(f"{rows} samples in {files} files to {to}\n")


def restore(*, source: Annotated[Path, Parameter(name="--from")]) -> None:
    """Write an archive back to the log of samples, which must be empty.

    The order is kept, offsets are not: snapshots of a learner from before do not fit, move them away.

    Args:
        source: the archive's folder.
    """
    rows = write_back(Layout.here().endpoints().bootstrap, source)
    sys.stdout.write(f"{rows} samples restored; offsets differ, so move the learner's snapshots away\n")


def write_files(bootstrap: str, folder: Path) -> tuple[int, int]:
    """Write files until the log's end; (files, rows) that were written.

    Raises:
        UsageProblem: the log does not go on where the archive ends. KafkaException: the broker went away.
    """
    folder.mkdir(parents=True, exist_ok=True)
    known = list_files(folder)
    begin = _goes_on_at(bootstrap, folder, known[-1].next if known else None)
    log, files, rows = read_to_end(bootstrap, SAMPLES.name, {0: begin}), 0, 0
    while batch := list(islice(log, _ROWS)):
        begin = _write(folder, begin, batch)
        files, rows = files + 1, rows + len(batch)
    return files, rows


def list_files(folder: Path) -> list[ArchiveFile]:
    """The files of an archive, by offset.

    Raises:
        UsageProblem: one is missing between them.
    """
    found = sorted(ArchiveFile.from_path(path) for path in folder.glob("*.parquet"))
    for before, after in pairwise(found):
        if after.first != before.next:
            message = f"{folder} lacks the samples from offset {before.next} to {after.first}; put their file back"
            raise UsageProblem(message)
    return found


def write_back(bootstrap: str, folder: Path) -> int:
    """Append every row to the empty topic, in order; how many there were.

    Raises:
        UsageProblem: the topic holds something, or the folder nothing. EnvironmentProblem: the broker did not take all.
    """
    found, (_, end) = list_files(folder), bounds(bootstrap, SAMPLES.name)[SAMPLES.name, 0]
    if not found:
        message = f"{folder} holds no samples-FIRST-NEXT.parquet; name the folder of an archive"
        raise UsageProblem(message)
    if end:
        message = f"topic {SAMPLES.name} has held records up to offset {end}, must be new; `headrace down --wipe` first"
        raise UsageProblem(message)
    client = producer(bootstrap, {"compression.type": "lz4"})
    return sum(_send(client, parquet.read_table(folder / part.name)) for part in found)


def _send(producer: Producer, table: pa.Table) -> int:
    refused: list[str] = []

    def taken(error: KafkaError | None, _: Message) -> None:
        if error is not None:
            refused.append(error.str())

    for key, record in zip(table["key"].to_pylist(), table["record"].to_pylist(), strict=True):
        while True:
            try:
                producer.produce(SAMPLES.name, record, key, partition=0, on_delivery=taken)
                break
            except BufferError:  # the client's queue is full: the broker has to take some first
                producer.poll(1.0)
        producer.poll(0)
    left = producer.flush(_FLUSH_S) + len(refused)
    if left:
        why = f" ({refused[0]})" if refused else ""
        message = f"{left} samples were not taken{why} within {_FLUSH_S:g} s; look at Kafka's log, wipe, restore again"
        raise EnvironmentProblem(message)
    return len(table)


def _goes_on_at(bootstrap: str, folder: Path, known: int | None) -> int:
    """Where the next file begins.

    Raises:
        UsageProblem: the archive's end is not on the log.
    """
    begin, end = bounds(bootstrap, SAMPLES.name)[SAMPLES.name, 0]
    if known is None:
        return begin
    if not begin <= known <= end:
        message = (
            f"{folder} ends at offset {known}, the log holds {begin} to {end}: it is another log, or samples have "
            "passed their retention in between; name a new folder"
        )
        raise UsageProblem(message)
    return known


def _write(folder: Path, first: int, batch: list[Message]) -> int:
    """One file, whole or not there; the offset that the next one begins with."""
    offsets = [message.offset() or 0 for message in batch]
    part = ArchiveFile(first, offsets[-1] + 1)
    columns = [offsets, [message.key() for message in batch], [message.value() for message in batch]]
    with replace_file(folder / part.name) as file:
        parquet.write_table(pa.table(columns, schema=_COLUMNS), file, compression="zstd")
    return part.next
