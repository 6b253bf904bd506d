"""Workers share a folder of metrics; a dead one's state must not stay in it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from headrace.serving.telemetry import metrics_folder


def test_a_dead_worker_leaves_counts_and_no_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(metrics_folder.VARIABLE, str(tmp_path))
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    names = ["counter", "gauge_livemax", "gauge_max"]
    for pid in (dead.pid, os.getpid()):
        for name in names:
            (tmp_path / f"{name}_{pid}.db").touch()
    metrics_folder.forget_dead()
    left = {f"{name}_{os.getpid()}.db" for name in names}
    assert {path.name for path in tmp_path.iterdir()} == left | {f"counter_{dead.pid}.db", f"gauge_max_{dead.pid}.db"}
