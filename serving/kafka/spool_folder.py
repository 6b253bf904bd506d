"""The folder of the spool, which the workers of a host write to and the feeder drains (docs/adr/0026).

`<ms when opened>-<writer>-<number>.<lane>.open` is being written, `….<records>.ready` waits to be drained, `….damaged`
and `….refused` are set aside. Segments are opened and taken over under a lock of the folder.
"""

import contextlib
import fcntl
import itertools
import os
import re
import secrets
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, TypeAlias

from msgspec import Struct

from headrace.serving.kafka import segment
from headrace.serving.kafka.open_segment import OpenSegment, ready_path
from headrace.serving.kafka.segment import MOST_BYTES, Contents

Lane: TypeAlias = Literal["labels", "views"]
LANES: tuple[Lane, ...] = ("labels", "views")
"""In the order in which they are drained: what labels slots, and everything else."""
ROOM: dict[Lane, float] = {"labels": 1.0, "views": 0.7}
"""The share of the bound up to which a lane may fill the folder."""
MB = 1024 * 1024
_NAME = re.compile(r"(\d+)-([0-9a-f]+)-(\d+)\.(labels|views)\.(?:(open)|(\d+)\.(ready|damaged|refused))")
_LOCK, _DRAINING, _DRAINED = ".lock", ".draining", ".drained"
_RETRY_S = 0.2
_Place: TypeAlias = tuple[int, int, str, int]  # lane, when opened, writer, number


class Segment(Struct, frozen=True):
    """A file of the folder. `records` is 0 while it is open."""

    path: Path
    opened_ms: int
    lane: Lane
    records: int
    state: str
    size: int


class Backlog(Struct, frozen=True):
    """What waits in the folder.

    Attributes:
        records: in segments that are ready; those of the last second are not counted.
        oldest_ms: when the oldest segment was opened, None if nothing waits.
        fill: share of the bound that is taken or reserved.
    """

    size: int
    records: int
    oldest_ms: int | None
    set_aside: int
    fill: float


NOTHING = Backlog(size=0, records=0, oldest_ms=None, set_aside=0, fill=0.0)
_UNREADABLE = Backlog(size=0, records=0, oldest_ms=None, set_aside=0, fill=1.0)


class SpoolFolder:
    """One process's view of the folder."""

    def __init__(self, path: Path, *, most_bytes: int) -> None:
        path.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.most_bytes = most_bytes
        self._writer = secrets.token_hex(4)  # no process id: containers may share a folder, but not their ids
        self._numbers = itertools.count()
        self._last_ms = 0

    def segments(self) -> list[Segment]:
        """All files, in the order in which they are drained."""
        found: list[tuple[_Place, Segment]] = []
        with os.scandir(self.path) as entries:
            for entry in entries:
                parts = _NAME.fullmatch(entry.name)
                if parts is None:
                    continue
                with contextlib.suppress(FileNotFoundError):  # it was drained or renamed just now
                    found.append(_segment(entry, parts))
        return [each for _, each in sorted(found, key=lambda pair: pair[0])]

    def backlog(self) -> Backlog:
        """What waits now. A folder that cannot be read counts as full, and does not end the process."""
        try:
            segments = self.segments()
        except OSError:
            return _UNREADABLE
        waiting = [each for each in segments if each.state in ("open", "ready")]
        return Backlog(
            size=sum(each.size for each in waiting),
            records=sum(each.records for each in waiting),
            oldest_ms=min((each.opened_ms for each in waiting), default=None),
            set_aside=len(segments) - len(waiting),
            fill=_taken(segments) / self.most_bytes,
        )

    def holds_records(self) -> bool:
        """Whether something waits."""
        return self.backlog().oldest_ms is not None

    def open(self, lane: Lane) -> OpenSegment | None:
        """A new segment, or None if the folder has no room for another one of this lane.

        Raises:
            OSError: the disk is full or fails.
        """
        with self._locked():
            if _taken(self.segments()) + MOST_BYTES > ROOM[lane] * self.most_bytes:
                return None
            # Later than the one before, even if the clock was set back: segments are drained in the order of this.
            self._last_ms = max(time.time_ns() // 1_000_000, self._last_ms + 1)
            name = f"{self._last_ms:013d}-{self._writer}-{next(self._numbers)}.{lane}.open"
            opened = OpenSegment(self.path / name, opened_ms=self._last_ms)
            self._sync()
            return opened

    def adopt(self) -> int:
        """Make segments ready whose writer has died; returns how many had a torn last write."""
        torn = 0
        with self._locked():
            for path in self.path.glob("*.open"):
                with contextlib.suppress(FileNotFoundError, BlockingIOError):  # closed just now; its writer lives
                    torn += _adopt(path)
        return torn

    def read(self, found: Segment) -> Contents:
        """What a segment holds. A file that cannot be read counts as damaged."""
        try:
            return segment.read(found.path.read_bytes())
        except OSError:
            return Contents([], 0, "damaged")

    def remove(self, found: Segment) -> None:
        """Remove a segment that was drained."""
        found.path.unlink(missing_ok=True)

    def set_aside(self, found: Segment, why: Literal["damaged", "refused"]) -> Path:
        """Keep a segment for a person to look at; returns its path."""
        return found.path.rename(found.path.with_suffix(f".{why}"))

    def note_drained(self) -> None:
        """Note that the broker has accepted records of the spool."""
        path = self.path / _DRAINED
        path.touch()
        now = time.time_ns()
        os.utime(path, ns=(now, now))

    def drained_ns(self) -> int:
        """When the broker last accepted records of the spool, 0 if never."""
        try:
            return (self.path / _DRAINED).stat().st_mtime_ns
        except FileNotFoundError:
            return 0

    @contextlib.contextmanager
    def draining(self, stop: threading.Event) -> Iterator[bool]:
        """Wait until no other process drains this folder; False if `stop` was set first."""
        with (self.path / _DRAINING).open("wb") as file:
            while not (mine := _lock(file.fileno())) and not stop.wait(_RETRY_S):
                pass
            yield mine

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with (self.path / _LOCK).open("wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _sync(self) -> None:
        """Write the folder's entries to disk: without its entry, a synced file is lost with the power."""
        folder = os.open(self.path, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _segment(entry: os.DirEntry[str], parts: re.Match[str]) -> tuple[_Place, Segment]:
    opened_ms, writer, number = int(parts[1]), parts[2], int(parts[3])
    lane: Lane = "labels" if parts[4] == "labels" else "views"
    state = parts[5] or parts[7]
    records, size = int(parts[6] or 0), entry.stat().st_size
    found = Segment(Path(entry.path), opened_ms, lane, records, state, size)
    return (LANES.index(lane), opened_ms, writer, number), found


def _taken(segments: list[Segment]) -> int:
    """Bytes that are taken, with what open segments may still grow to."""
    return sum(MOST_BYTES if each.state == "open" else each.size for each in segments)


def _lock(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _adopt(path: Path) -> bool:
    """Make an open segment ready; True if its last write was torn.

    Raises:
        BlockingIOError: its writer lives.
    """
    with path.open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        contents = segment.read(file.read())
        if contents.fault == "torn":
            file.truncate(contents.end)
        if contents.fault == "damaged" or contents.records:
            path.rename(ready_path(path, records=len(contents.records)))
        else:
            path.unlink()
    return contents.fault == "torn"
