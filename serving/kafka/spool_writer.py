"""A worker's side of the spool: a thread that appends records to segments, so that nobody else waits for the disk."""

import sys
import threading
import time
from collections import defaultdict

from msgspec import Struct

from headrace.serving.kafka import segment
from headrace.serving.kafka.detour import Detour
from headrace.serving.kafka.open_segment import OpenSegment
from headrace.serving.kafka.producer import Record
from headrace.serving.kafka.receipt import Receipt
from headrace.serving.kafka.segment import MOST_BYTES
from headrace.serving.kafka.spool_folder import LANES, MB, NOTHING, Lane, SpoolFolder

_OPEN_MS = 1_000  # how long a segment stays open
_TURN_S = 0.2  # how long the thread waits for records; it also bounds how late it sees what others wrote
_WAITING_BYTES = 64 * MB  # of records that wait for the disk: exposures may be made faster than it takes them


class Entry(Struct, frozen=True):
    """A framed record that waits for the disk, and its place in the receipt."""

    lane: Lane
    framed: bytes
    receipt: Receipt
    index: int


class SpoolWriter:
    """The queue and its thread. One `fsync` serves all records that arrived during the one before."""

    def __init__(self, folder: SpoolFolder, detour: Detour) -> None:
        self.backlog = NOTHING
        self._folder = folder
        self._detour = detour
        self._changed = threading.Condition()
        self._waiting: list[Entry] = []
        self._waiting_bytes = 0
        self._open: dict[Lane, OpenSegment] = {}
        self._full: set[Lane] = set()  # until the next look at the folder: looking costs more than refusing
        self._looked_s = 0.0
        self._failing = False

    @property
    def records(self) -> int:
        """Records of the host that wait, without those in open segments of other workers."""
        return self.backlog.records + sum(each.records for each in [*self._open.values()])

    def put(self, record: Record, receipt: Receipt, index: int) -> None:
        """Queue a record; its receipt says later whether it is on disk. Never waits for the disk."""
        lane: Lane = "labels" if record.labels else "views"
        framed = segment.frame(record)
        with self._changed:
            fits = len(segment.MAGIC) + len(framed) <= MOST_BYTES
            queued = fits and self._waiting_bytes + len(framed) <= _WAITING_BYTES
            if queued:
                self._waiting.append(Entry(lane, framed, receipt, index))
                self._waiting_bytes += len(framed)
                self._changed.notify()
        if not queued:
            receipt.refuse(index)

    def run(self, stop: threading.Event) -> None:
        """Write records until `stop` is set, and those that are queued then."""
        while not stop.is_set():
            self.turn(_TURN_S)
        self.turn(0)
        for lane in LANES:
            self._close(lane)

    def turn(self, wait_s: float) -> None:
        """Write what is queued, hand over what has been open for a second, and decide whether to write to Kafka."""
        with self._changed:
            if not self._waiting and wait_s:
                self._changed.wait(wait_s)
            entries, self._waiting, self._waiting_bytes = self._waiting, [], 0
            now_ns = time.time_ns()
        by_lane: defaultdict[Lane, list[Entry]] = defaultdict(list)
        for entry in entries:
            by_lane[entry.lane].append(entry)
        for lane in LANES:
            self._append(lane, by_lane[lane])
            if lane in self._open and now_ns // 1_000_000 - self._open[lane].opened_ms >= _OPEN_MS:
                self._close(lane)
        if time.monotonic() - self._looked_s >= _TURN_S:
            self._look(now_ns)

    def _look(self, now_ns: int) -> None:
        self.backlog = self._folder.backlog()
        self._full.clear()
        self._looked_s = time.monotonic()
        before = self._detour.taken
        self._detour.look(now_ns, oldest_ms=self.backlog.oldest_ms, drained_ns=self._folder.drained_ns())
        if before and not self._detour.taken:
            for lane in LANES:  # what goes to Kafka from now on should overtake as little as possible
                self._close(lane)

    def _append(self, lane: Lane, entries: list[Entry]) -> None:
        group: list[Entry] = []
        size = 0
        for entry in entries:
            if not self._has_room(lane, size + len(entry.framed)):
                self._commit(lane, group)
                self._close(lane)
                group, size = [], 0
            group.append(entry)
            size += len(entry.framed)
        self._commit(lane, group)

    def _has_room(self, lane: Lane, size: int) -> bool:
        if lane in self._open:
            return self._open[lane].has_room(size)
        return len(segment.MAGIC) + size <= MOST_BYTES

    def _commit(self, lane: Lane, group: list[Entry]) -> None:
        """Append a group to the open segment and wait for the disk; or refuse it."""
        if not group:
            return
        written = False
        try:
            if lane not in self._full and (opened := self._opened(lane)):
                opened.append([entry.framed for entry in group])
                written = True
            self._failing &= not written
        except OSError as error:
            self._close(lane)
            if not self._failing:
                sys.stderr.write(f"records cannot be written to the spool: {error}; free or replace its disk\n")
            self._failing = True
        if not written:
            self._full.add(lane)
        for entry in group:
            (entry.receipt.keep if written else entry.receipt.refuse)(entry.index)

    def _opened(self, lane: Lane) -> OpenSegment | None:
        if lane not in self._open and (opened := self._folder.open(lane)):
            self._open[lane] = opened
        return self._open.get(lane)

    def _close(self, lane: Lane) -> None:
        if opened := self._open.pop(lane, None):
            try:
                opened.close()
            except OSError as error:
                sys.stderr.write(f"{opened.path} was not renamed: {error}; the feeder takes it as it is\n")
