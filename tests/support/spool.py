"""Records for the spool, a disk that a test can break at any byte, and a log that a test can take away."""

import threading
from collections.abc import Iterable, Sequence
from pathlib import Path

from headrace.schemas.topics import EVENTS, EXPOSURES
from headrace.serving.kafka.detour import Detour
from headrace.serving.kafka.drainer import Outcome
from headrace.serving.kafka.producer import Record
from headrace.serving.kafka.receipt import Receipt
from headrace.serving.kafka.spool_folder import MB, SpoolFolder
from headrace.serving.kafka.spool_writer import SpoolWriter


def click(name: str) -> Record:
    return Record(topic=EVENTS, key="u", value=name.encode())


def view(name: str, *, size: int = 0) -> Record:
    return Record(topic=EVENTS, key="u", value=name.encode().ljust(size, b"."), labels=False)


def exposure(name: str) -> Record:
    return Record(topic=EXPOSURES, key=name, value=name.encode(), headers=(("received_at", b"7"),))


def name_of(record: Record) -> str:
    return (record.value or b"").decode().rstrip(".")


def names_of(records: Iterable[Record]) -> list[str]:
    return [name_of(record) for record in records]


def folder_of(path: Path, *, megabytes: int = 64) -> SpoolFolder:
    return SpoolFolder(path, most_bytes=megabytes * MB)


def writer_of(folder: SpoolFolder) -> SpoolWriter:
    return SpoolWriter(folder, Detour())


def write(writer: SpoolWriter, records: Sequence[Record]) -> list[str]:
    """Write records, in one turn; returns the names of those that are on disk."""
    receipt = Receipt(len(records))
    for index, record in enumerate(records):
        writer.put(record, receipt, index)
    writer.turn(0)
    refused = set(receipt.wait(0))
    return [name_of(record) for index, record in enumerate(records) if index not in refused]


def close(writer: SpoolWriter) -> None:
    """End a writer as a worker does that is told to stop."""
    done = threading.Event()
    done.set()
    writer.run(done)


class FakeLog:
    """A log in memory. It takes only so many records before it is away, and may crash its caller then."""

    def __init__(self) -> None:
        self.written: list[Record] = []
        self.refused: set[str] = set()
        self.room: int | None = None

    def __call__(self, records: Sequence[Record], _: threading.Event) -> Sequence[Outcome]:
        outcomes: list[Outcome] = []
        for record in records:
            if self.room == 0:
                outcomes.append(Outcome.UNKNOWN)
            elif self.refused and name_of(record) in self.refused:
                outcomes.append(Outcome.REFUSED)
            else:
                self.written.append(record)
                self.room = None if self.room is None else self.room - 1
                outcomes.append(Outcome.WRITTEN)
        return outcomes
