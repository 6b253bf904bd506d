"""Snapshots on disk: complete or absent, and kept as long as promised."""

from contextlib import suppress
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.learner.versions.cuts import Checkpoint
from headrace.learner.versions.snapshot import Snapshots, expired, load
from headrace.schemas.versions.snapshot import SnapshotMeta
from headrace.store.location import parse_location
from headrace.store.snapshot_files import META, PINNED, SnapshotError

HOUR_MS = 3_600_000


class Killed(BaseException):
    """Instead of SIGKILL."""


def kill_before(monkeypatch, survives):
    """Let the process die before the file after so many that were written completely."""
    rename, written = Path.rename, []

    def counting(path, target):
        if len(written) == survives:
            raise Killed
        written.append(target)
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", counting)


def arrays_of(folder):
    (found,) = folder.glob("arrays*")
    return found


def checkpoint(seq, *, epoch=1, clock_ms=0, more=0):
    meta = SnapshotMeta(
        model="m",
        epoch=epoch,
        seq=seq,
        hash="h",
        schema="s",
        settings="{}",
        clock_ms=clock_ms,
        started_ms=0,
        published_ms=0,
        next_publish_ms=0,
        next_snapshot_ms=0,
        offset=seq,
    )
    return Checkpoint(
        meta, {"a": np.arange(seq + 3 + more), "empty": np.zeros((0, 2), np.float32), "flags": np.ones(2, np.bool_)}
    )


def test_what_is_saved_is_loaded(tmp_path):
    folder = Snapshots(parse_location(tmp_path)).save(checkpoint(4))
    meta, arrays = load(folder)
    assert msgspec.structs.replace(meta, arrays_sha256="") == checkpoint(4).meta
    for name, values in checkpoint(4).arrays.items():
        np.testing.assert_array_equal(arrays[name], values)
        assert arrays[name].dtype == values.dtype
    assert [path.name for path in tmp_path.iterdir()] == ["1.4"]


def test_one_that_is_written_again_stays_pinned(tmp_path):
    """This happens after a heartbeat, which makes no version."""
    snapshots = Snapshots(parse_location(tmp_path))
    snapshots.save(checkpoint(4))
    (tmp_path / "1.4" / PINNED).write_text("by an analyst")
    folder = snapshots.save(checkpoint(4, clock_ms=HOUR_MS, more=1))
    assert load(folder)[0].clock_ms == HOUR_MS
    assert (tmp_path / "1.4" / PINNED).read_text() == "by an analyst"
    assert len([*(tmp_path / "1.4").iterdir()]) == 3, "the replaced arrays are gone"
    assert [path.name for path in tmp_path.iterdir()] == ["1.4"]


def test_a_kill_before_any_file_leaves_the_old_one_or_the_new_one(tmp_path, monkeypatch):
    """The files appear one by one, and the process may die before each."""
    clocks = set()
    for survives in range(3):
        folder = tmp_path / str(survives)
        snapshots = Snapshots(parse_location(folder))
        for seq in (3, 4):
            snapshots.save(checkpoint(seq))
        kill_before(monkeypatch, survives)
        with suppress(Killed):
            snapshots.save(checkpoint(4, clock_ms=HOUR_MS, more=1))
        monkeypatch.undo()
        clocks.add(load(snapshots.latest())[0].clock_ms)
        snapshots.save(checkpoint(4, clock_ms=HOUR_MS, more=1))
        assert len([*(folder / "1.4").iterdir()]) == 2, "the next run removes what was left"
    assert clocks == {0, HOUR_MS}


def test_a_snapshot_of_the_release_before_is_read(tmp_path):
    """Its arrays had no hash in their name."""
    snapshots = Snapshots(parse_location(tmp_path))
    snapshots.save(checkpoint(4))
    arrays_of(tmp_path / "1.4").rename(tmp_path / "1.4" / "arrays.safetensors")
    assert load(snapshots.latest())[0].seq == 4
    snapshots.save(checkpoint(4, clock_ms=HOUR_MS))
    assert {path.name for path in (tmp_path / "1.4").iterdir()} == {META, arrays_of(tmp_path / "1.4").name}
    assert arrays_of(tmp_path / "1.4").name != "arrays.safetensors"


def test_the_latest_is_the_highest_number_that_is_intact(tmp_path):
    snapshots = Snapshots(parse_location(tmp_path / "deep" / "er"))
    assert snapshots.latest() is None
    for seq in (9, 10):
        snapshots.save(checkpoint(seq))
    snapshots.save(checkpoint(1, epoch=2))
    assert snapshots.latest().name == "2.1"
    folder = tmp_path / "deep" / "er"
    arrays_of(folder / "2.1").write_bytes(b"cut short")
    assert snapshots.latest().name == "1.10"
    (folder / "1.10" / META).write_text("{")
    assert snapshots.latest().name == "1.9"
    with pytest.raises(SnapshotError, match="remove the folder"):
        load(snapshots.folder / "2.1")
    arrays_of(folder / "1.9").unlink()
    assert snapshots.latest() is None


def test_an_unfinished_one_is_ignored_and_does_not_block(tmp_path):
    snapshots = Snapshots(parse_location(tmp_path))
    (tmp_path / "1.5").mkdir()
    (tmp_path / "1.5" / "arrays-0.safetensors").touch()
    assert snapshots.latest() is None
    assert load(snapshots.save(checkpoint(5)))[0].seq == 5
    assert load(snapshots.save(checkpoint(5)))[0].seq == 5  # made again after a restart


def test_old_ones_go_pinned_and_daily_ones_stay(tmp_path):
    snapshots = Snapshots(parse_location(tmp_path))
    for seq in range(1, 100):
        snapshots.save(checkpoint(seq, clock_ms=seq * 12 * HOUR_MS))
        if seq == 3:
            (tmp_path / "1.3" / PINNED).touch()
    kept = sorted(int(path.name.split(".")[1]) for path in tmp_path.iterdir())
    recent = [seq for seq in range(1, 100) if (99 - seq) * 12 <= 48]
    daily = [seq for seq in range(1, 100) if seq % 2 == 0 and (99 - seq) * 12 <= 30 * 24]
    assert kept == sorted({3, *recent, *daily})


def test_a_damaged_meta_does_not_stop_saving(tmp_path):
    snapshots = Snapshots(parse_location(tmp_path))
    snapshots.save(checkpoint(1))
    (tmp_path / "1.1" / META).write_text("{")
    assert snapshots.save(checkpoint(2)).name == "1.2"


@given(st.lists(st.integers(0, 10**11), max_size=20))
def test_the_newest_always_stays(clocks):
    folders = {str(number): clock for number, clock in enumerate(clocks)}
    assert not clocks or str(len(clocks) - 1) not in expired(folders, set())
