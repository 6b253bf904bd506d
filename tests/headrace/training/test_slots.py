"""At most N processes run at once, in first-come order, and a killed one frees its slot: real processes."""

import subprocess
import sys
from pathlib import Path

from headrace.training.slots import limit_concurrency
from headrace.wait import wait_until

WORKER = """
import sys
from pathlib import Path
from headrace.training.slots import limit_concurrency
folder, name = Path(sys.argv[1]), sys.argv[2]
with limit_concurrency(folder / "tickets", 2):
    (folder / name).touch()
    sys.stdin.read()
"""


def start(folder: Path, name: str) -> subprocess.Popen[bytes]:
    """A process that has drawn a ticket and holds it until its input ends."""
    command = [sys.executable, "-c", WORKER, str(folder), name]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    wait_for(folder / "tickets" / name)
    return process


def wait_for(path: Path) -> None:
    wait_until(path.exists, what=str(path), deadline_s=20, hint="Look at what the process printed.")


def test_two_run_at_once_and_the_others_wait_in_order(tmp_path: Path) -> None:
    workers = {name: start(tmp_path, name) for name in "1234"}
    try:
        wait_for(tmp_path / "1")
        wait_for(tmp_path / "2")
        assert workers["3"].stdout.readline() == b"waiting: 2 ahead, 2 run at once\n"
        assert workers["4"].stdout.readline() == b"waiting: 3 ahead, 2 run at once\n"
        workers["2"].kill()
        wait_for(tmp_path / "3")
        assert not (tmp_path / "4").exists()
        workers["1"].communicate(b"")
        wait_for(tmp_path / "4")
    finally:
        for worker in workers.values():
            worker.communicate(b"")
    assert [path.name for path in (tmp_path / "tickets").iterdir()] == ["door"]


def test_a_free_slot_is_taken_at_once(tmp_path: Path) -> None:
    with limit_concurrency(tmp_path, 1):
        assert {path.name for path in tmp_path.iterdir()} == {"1", "door"}
    with limit_concurrency(tmp_path, 1):
        assert {path.name for path in tmp_path.iterdir()} == {"1", "door"}
