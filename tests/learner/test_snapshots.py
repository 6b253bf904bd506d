"""Snapshots on disk: complete or absent, and kept as long as promised."""

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.learner.cuts import Checkpoint
from headrace.learner.snapshot import ARRAYS, META, PINNED, SnapshotError, Snapshots, expired, load
from headrace.schemas.snapshot import SnapshotMeta

HOUR_MS = 3_600_000


def checkpoint(seq, *, epoch=1, clock_ms=0):
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
        meta, {"a": np.arange(seq + 3), "empty": np.zeros((0, 2), np.float32), "flags": np.ones(2, np.bool_)}
    )


def test_what_is_saved_is_loaded(tmp_path):
    folder = Snapshots(tmp_path).save(checkpoint(4))
    meta, arrays = load(folder)
    assert msgspec.structs.replace(meta, arrays_sha256="") == checkpoint(4).meta
    for name, values in checkpoint(4).arrays.items():
        np.testing.assert_array_equal(arrays[name], values)
        assert arrays[name].dtype == values.dtype
    assert [path.name for path in tmp_path.iterdir()] == ["1.4"]


def test_one_that_is_written_again_stays_pinned(tmp_path):
    """This happens after a heartbeat, which makes no version."""
    snapshots = Snapshots(tmp_path)
    (snapshots.save(checkpoint(4)) / PINNED).write_text("by an analyst")
    folder = snapshots.save(checkpoint(4, clock_ms=HOUR_MS))
    assert load(folder)[0].clock_ms == HOUR_MS
    assert (folder / PINNED).read_text() == "by an analyst"
    assert [path.name for path in tmp_path.iterdir()] == ["1.4"]


def test_a_kill_during_rewriting_restores_the_old_one(tmp_path):
    snapshots = Snapshots(tmp_path)
    folder = snapshots.save(checkpoint(4))
    (folder / PINNED).write_text("by an analyst")
    folder.rename(tmp_path / ".replaced-1.4")  # and its replacement is missing
    snapshots.save(checkpoint(5))
    assert (folder / PINNED).read_text() == "by an analyst"
    assert {path.name for path in tmp_path.iterdir()} == {"1.4", "1.5"}


def test_the_latest_is_the_highest_number_that_is_intact(tmp_path):
    snapshots = Snapshots(tmp_path / "deep" / "er")
    assert snapshots.latest() is None
    for seq in (9, 10):
        snapshots.save(checkpoint(seq))
    snapshots.save(checkpoint(1, epoch=2))
    assert snapshots.latest().name == "2.1"
    (snapshots.folder / "2.1" / ARRAYS).write_bytes(b"cut short")
    assert snapshots.latest().name == "1.10"
    (snapshots.folder / "1.10" / META).write_text("{")
    assert snapshots.latest().name == "1.9"
    with pytest.raises(SnapshotError, match="remove the folder"):
        load(snapshots.folder / "2.1")
    (snapshots.folder / "1.9" / ARRAYS).unlink()
    assert snapshots.latest() is None


def test_an_unfinished_one_is_ignored_and_does_not_block(tmp_path):
    snapshots = Snapshots(tmp_path)
    (tmp_path / ".tmp-1.5").mkdir()
    (tmp_path / ".tmp-1.5" / META).write_text("{}")
    assert snapshots.latest() is None
    assert load(snapshots.save(checkpoint(5)))[0].seq == 5
    assert load(snapshots.save(checkpoint(5)))[0].seq == 5  # made again after a restart


def test_old_ones_go_pinned_and_daily_ones_stay(tmp_path):
    snapshots = Snapshots(tmp_path)
    for seq in range(1, 100):
        folder = snapshots.save(checkpoint(seq, clock_ms=seq * 12 * HOUR_MS))
        if seq == 3:
            (folder / PINNED).touch()
    kept = sorted(int(path.name.split(".")[1]) for path in tmp_path.iterdir())
    recent = [seq for seq in range(1, 100) if (99 - seq) * 12 <= 48]
    daily = [seq for seq in range(1, 100) if seq % 2 == 0 and (99 - seq) * 12 <= 30 * 24]
    assert kept == sorted({3, *recent, *daily})


def test_a_damaged_meta_does_not_stop_saving(tmp_path):
    snapshots = Snapshots(tmp_path)
    snapshots.save(checkpoint(1))
    (tmp_path / "1.1" / META).write_text("{")
    assert snapshots.save(checkpoint(2)).name == "1.2"


@given(st.lists(st.integers(0, 10**11), max_size=20))
def test_the_newest_always_stays(clocks):
    folders = {str(number): clock for number, clock in enumerate(clocks)}
    assert not clocks or str(len(clocks) - 1) not in expired(folders, set())
