"""So many at once, in the order they came, and who was killed holds no place: real processes."""

import subprocess
import sys
from pathlib import Path

from headrace.training.slots import in_turn
from headrace.wait import wait_until

WORKER = """
import sys
from pathlib import Path
from headrace.training.slots import in_turn
folder, name = Path(sys.argv[1]), sys.argv[2]
with in_turn(folder / "tickets", 2):
    (folder / name).touch()
    sys.stdin.read()
"""


def started(folder: Path, name: str) -> subprocess.Popen[bytes]:
    """A process that has drawn a ticket, and keeps its place until its input ends."""
    command = [sys.executable, "-c", WORKER, str(folder), name]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    there(folder / "tickets" / name)
    return process


def there(path: Path) -> None:
    wait_until(path.exists, what=str(path), deadline_s=20, hint="Look at what the process printed.")


def test_two_at_once_then_those_that_wait_in_order(tmp_path: Path) -> None:
    workers = {name: started(tmp_path, name) for name in "1234"}
    try:
        there(tmp_path / "1")
        there(tmp_path / "2")
        assert workers["3"].stdout.readline() == b"waiting: 2 came before, 2 run at once\n"
        assert workers["4"].stdout.readline() == b"waiting: 3 came before, 2 run at once\n"
        workers["2"].kill()
        there(tmp_path / "3")
        assert not (tmp_path / "4").exists()
        workers["1"].communicate(b"")
        there(tmp_path / "4")
    finally:
        for worker in workers.values():
            worker.communicate(b"")
    assert [path.name for path in (tmp_path / "tickets").iterdir()] == ["door"]


def test_a_place_that_is_free_is_had_at_once(tmp_path: Path) -> None:
    with in_turn(tmp_path, 1):
        assert {path.name for path in tmp_path.iterdir()} == {"1", "door"}
    with in_turn(tmp_path, 1):
        assert {path.name for path in tmp_path.iterdir()} == {"1", "door"}
