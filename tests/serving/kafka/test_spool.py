"""The spool's folder, writer and drainer, on a real disk and a log in memory."""

import fcntl
import os
import threading
import time
from itertools import takewhile
from pathlib import Path

import pytest

from headrace.serving.kafka.drainer import Drainer
from headrace.serving.kafka.segment import MOST_BYTES
from headrace.serving.kafka.spool_folder import MB, ROOM, SpoolFolder
from tests.support.spool import FakeLog, click, close, exposure, folder_of, names_of, view, write, writer_of

NEVER = threading.Event()


@pytest.fixture
def folder(tmp_path: Path) -> SpoolFolder:
    return folder_of(tmp_path / "spool")


def drained(folder: SpoolFolder, log: FakeLog | None = None) -> list[str]:
    log = log or FakeLog()
    drainer = Drainer(folder, log)
    while drainer.turn(NEVER):
        pass
    return names_of(log.written)


def files(folder: SpoolFolder) -> list[str]:
    return [path.suffix for path in sorted(folder.path.iterdir()) if not path.name.startswith(".")]


def test_labels_are_drained_before_views_in_order(folder: SpoolFolder) -> None:
    first, second = writer_of(folder), writer_of(folder)
    write(first, [view("v1"), click("c1"), exposure("x1")])
    close(first)
    write(second, [view("v2"), click("c2")])
    close(second)
    assert (folder.backlog().records, folder.holds_records()) == (5, True)
    assert drained(folder) == ["c1", "x1", "c2", "v1", "v2"]
    assert (files(folder), folder.holds_records()) == ([], False)


def test_a_segment_whose_writer_lives_is_left_alone(folder: SpoolFolder) -> None:
    write(writer := writer_of(folder), [click("c")])
    assert drained(folder) == []
    close(writer)
    assert drained(folder) == ["c"]


def test_what_a_dead_writer_left_is_drained_without_its_torn_end(folder: SpoolFolder) -> None:
    path = abandoned(folder, ["c1", "c2"])
    os.truncate(path, path.stat().st_size - 3)
    log = FakeLog()
    drainer = Drainer(folder, log)
    drainer.turn(NEVER)
    assert (names_of(log.written), drainer.torn, files(folder)) == (["c1"], 1, [])


def test_a_damaged_segment_is_set_aside_and_the_others_are_drained(folder: SpoolFolder, capfd) -> None:
    for names in (["c1", "broken", "c3"], ["c4"]):
        write(writer := writer_of(folder), [click(name) for name in names])
        close(writer)
    damaged = folder.segments()[0].path
    damaged.write_bytes(damaged.read_bytes().replace(b"broken", b"brokEn"))
    assert drained(folder) == ["c1", "c4"]
    assert (files(folder), folder.backlog().set_aside, folder.holds_records()) == ([".damaged"], 1, False)
    assert "damaged at byte" in capfd.readouterr().err


def test_a_record_that_the_broker_refuses_does_not_stop_the_others(folder: SpoolFolder, capfd) -> None:
    write(writer := writer_of(folder), [click("c1"), click("bad"), click("c3")])
    close(writer)
    (log := FakeLog()).refused = {"bad"}
    assert drained(folder, log) == ["c1", "c3"]
    assert files(folder) == [".refused"]
    assert "refuses 1 of 3" in capfd.readouterr().err


def test_a_segment_stays_until_all_its_records_are_written(folder: SpoolFolder) -> None:
    for names in (["a1", "a2"], ["b1", "b2"]):
        write(writer := writer_of(folder), [click(name) for name in names])
        close(writer)
    (log := FakeLog()).room = 3
    stop = threading.Event()
    stop.set()
    assert Drainer(folder, log).turn(stop) is False
    assert files(folder) == [".ready"]
    log.room = None
    assert drained(folder, log) == ["a1", "a2", "b1", "b1", "b2"]


def test_views_leave_room_for_labels_and_nothing_exceeds_the_bound(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "spool", megabytes=64)
    writers = [writer_of(folder), writer_of(SpoolFolder(folder.path, most_bytes=folder.most_bytes))]
    big = MB - 100

    def fill(make) -> int:
        """Write with both writers until nothing is accepted."""
        records = (write(writers[number % 2], [make(f"r{number}", size=big)]) for number in range(200))
        return sum(1 for _ in takewhile(bool, records))

    views = fill(view)
    taken = sum(path.stat().st_size for path in folder.path.iterdir())
    assert taken <= ROOM["views"] * folder.most_bytes
    assert views >= ROOM["views"] * 64 - 2 * MOST_BYTES / MB
    assert write(writers[0], [click("c")]) == ["c"], "there is room for what labels"
    close(writers[0])
    close(writers[1])
    assert folder.backlog().fill < 1


def test_open_segments_reserve_their_full_size(tmp_path: Path) -> None:
    folders = [folder_of(tmp_path / "spool", megabytes=64) for _ in range(20)]
    writers = [writer_of(folder) for folder in folders]
    accepted = [write(writer, [view("v")]) for writer in writers]
    assert accepted == [["v"]] * int(ROOM["views"] * 64 * MB / MOST_BYTES) + [[]] * 9
    assert folders[0].backlog().fill == 11 * 4 / 64


def test_the_order_survives_a_clock_that_is_set_back(folder: SpoolFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = writer_of(folder)
    for name, ahead_s in (("c1", 0), ("c2", -3_600), ("c3", -7_200)):
        at = time.time_ns() + ahead_s * 1_000_000_000
        with monkeypatch.context() as clock:
            clock.setattr(time, "time_ns", lambda at=at: at)
            write(writer, [click(name)])
            close(writer)
    assert drained(folder) == ["c1", "c2", "c3"]


def test_a_record_larger_than_a_segment_is_refused(folder: SpoolFolder) -> None:
    writer = writer_of(folder)
    assert write(writer, [click("c1"), view("v", size=MOST_BYTES), click("c2")]) == ["c1", "c2"]
    close(writer)
    assert drained(folder) == ["c1", "c2"]


def test_one_drainer_at_a_time(folder: SpoolFolder) -> None:
    stop = threading.Event()
    stop.set()
    with folder.draining(NEVER) as mine, folder.draining(stop) as also_mine:
        assert (mine, also_mine) == (True, False)


def test_a_disk_that_fails_refuses_and_recovers(folder: SpoolFolder, capfd) -> None:
    writer = writer_of(folder)
    folder.path.rename(away := folder.path.with_name("away"))
    assert write(writer, [click("c1")]) == []
    assert "cannot be written" in capfd.readouterr().err
    away.rename(folder.path)
    writer._looked_s = 0.0
    writer.turn(0)
    assert write(writer, [click("c2")]) == ["c2"]
    close(writer)
    assert drained(folder) == ["c2"]


def abandoned(folder: SpoolFolder, names: list[str]) -> Path:
    """A segment whose writer was killed."""
    write(writer := writer_of(folder), [click(name) for name in names])
    opened = writer._open["labels"]
    fcntl.flock(opened._file, fcntl.LOCK_UN)  # as the kernel does for a process that has ended
    return opened.path
