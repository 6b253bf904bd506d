"""A segment that a worker appends to, locked as long as the worker lives."""

import fcntl
import os
from pathlib import Path

from headrace.serving.kafka.segment import MAGIC, MOST_BYTES


class OpenSegment:
    """Made by `SpoolFolder.open`, under the folder's lock: nobody else sees the file before it is locked."""

    def __init__(self, path: Path, *, opened_ms: int) -> None:
        self.path = path
        self.opened_ms = opened_ms
        self.records = 0
        self.size = len(MAGIC)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _write(self._file, MAGIC)

    def has_room(self, more_bytes: int) -> bool:
        """Whether this much still fits."""
        return self.size + more_bytes <= MOST_BYTES

    def append(self, frames: list[bytes]) -> None:
        """Append records. When this returns they are on disk.

        Raises:
            OSError: the disk is full or fails. None of the records counts as written.
        """
        data = b"".join(frames)
        try:
            _write(self._file, data)
            os.fsync(self._file)
        except OSError:
            os.ftruncate(self._file, self.size)  # or a later record would follow half a one
            raise
        self.size += len(data)
        self.records += len(frames)

    def close(self) -> None:
        """Hand the segment to the drainer, or remove it if it holds nothing."""
        try:
            if self.records:
                self.path.rename(ready_path(self.path, records=self.records))
            else:
                self.path.unlink()
        finally:  # if renaming failed, the drainer takes it because its lock is free
            os.close(self._file)


def ready_path(path: Path, *, records: int) -> Path:
    """The path of an open segment once it is ready. Its name has the number of records."""
    return path.with_name(f"{path.name.removesuffix('.open')}.{records}.ready")


def _write(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]
