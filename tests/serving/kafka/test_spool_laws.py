"""Any order of writes, crashes at any byte, and drains: what was accepted is drained, in order, and nothing else is."""

import fcntl
import shutil
import tempfile
import threading
from itertools import count
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from headrace.serving.kafka import segment
from headrace.serving.kafka.drainer import Drainer
from headrace.serving.kafka.spool_folder import LANES, Lane
from tests.support.spool import FakeLog, click, close, folder_of, name_of, view, write, writer_of

WRITERS = 2
STOPPED = threading.Event()
STOPPED.set()
MAKE = {"labels": click, "views": view}


class Spool(RuleBasedStateMachine):
    """Two workers and a drainer, all of which may die at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.path = Path(tempfile.mkdtemp())
        self.numbers = count()
        self.folders = [folder_of(self.path / "spool") for _ in range(WRITERS)]
        self.writers = [writer_of(folder) for folder in self.folders]
        self.accepted: dict[tuple[int, Lane], list[str]] = {
            (writer, lane): [] for writer in range(WRITERS) for lane in LANES
        }
        self.unfinished: set[str] = set()
        self.log = FakeLog()

    @rule(writer=st.integers(0, WRITERS - 1), lanes=st.lists(st.sampled_from(LANES), min_size=1, max_size=4))
    def write(self, writer: int, lanes: list[Lane]) -> None:
        records = [MAKE[lane](f"{writer}-{lane}-{next(self.numbers)}") for lane in lanes]
        for name in write(self.writers[writer], records):
            lane: Lane = "labels" if "labels" in name else "views"
            self.accepted[writer, lane].append(name)

    @rule(writer=st.integers(0, WRITERS - 1))
    def end(self, writer: int) -> None:
        close(self.writers[writer])
        self.writers[writer] = writer_of(self.folders[writer])

    @rule(writer=st.integers(0, WRITERS - 1), cut=st.floats(0, 1))
    def kill(self, writer: int, cut: float) -> None:
        """The worker dies while it writes a record, at any byte."""
        for lane, opened in self.writers[writer]._open.items():
            name = f"{writer}-{lane}-{next(self.numbers)}"
            framed = segment.frame(MAKE[lane](name))
            with opened.path.open("ab") as file:
                file.write(framed[: round(cut * len(framed))])
            self.unfinished.add(name)
            fcntl.flock(opened._file, fcntl.LOCK_UN)
        self.writers[writer] = writer_of(self.folders[writer])

    @rule(room=st.none() | st.integers(0, 6))
    def drain(self, room: int | None) -> None:
        """A new drainer, as after a crash; Kafka goes away, or it is killed, after so many records."""
        self.log.room = room
        drainer = Drainer(self.folders[0], self.log)
        drainer.turn(STOPPED)

    def teardown(self) -> None:
        try:
            for writer in self.writers:
                close(writer)
            self.log.room = None
            while self.folders[0].holds_records():
                Drainer(self.folders[0], self.log).turn(STOPPED)
            self.check([name_of(record) for record in self.log.written])
        finally:
            shutil.rmtree(self.path)

    def check(self, written: list[str]) -> None:
        assert set(written) <= {*self.unfinished, *(name for names in self.accepted.values() for name in names)}
        firsts = [name for name in dict.fromkeys(written) if name not in self.unfinished]
        for (writer, lane), names in self.accepted.items():
            assert [name for name in firsts if name.startswith(f"{writer}-{lane}-")] == names
        assert self.folders[0].backlog().set_aside == 0


TestSpool = Spool.TestCase
TestSpool.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
