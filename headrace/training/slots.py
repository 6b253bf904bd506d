"""Run at most N processes at once, in first-come order: each holds a numbered ticket, locked while it lives.

The system releases a lock when its process ends, however it ends; a ticket that no process holds is deleted.
"""

import fcntl
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_POLL_S = 0.5


@contextmanager
def limit_concurrency(folder: Path, limit: int) -> Iterator[None]:
    """Wait in first-come order, then run as one of at most `limit` processes that share the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with _door_lock(folder):
        number = max(_numbers(folder), default=0) + 1
        path = folder / str(number)
        ticket = path.open("xb")
        fcntl.flock(ticket, fcntl.LOCK_EX)
    try:
        reported = 0
        while (ahead := _count_ahead(folder, number)) >= limit:
            if ahead != reported:
                sys.stdout.write(f"waiting: {ahead} ahead, {limit} run at once\n")
                sys.stdout.flush()
                reported = ahead
            time.sleep(_POLL_S)
        yield
    finally:
        path.unlink(missing_ok=True)
        ticket.close()


def _count_ahead(folder: Path, number: int) -> int:
    """Number of live processes with a lower ticket."""
    with _door_lock(folder):
        return sum(_is_held(folder / str(other)) for other in _numbers(folder) if other < number)


def _is_held(path: Path) -> bool:
    """Whether a live process holds the ticket; deletes it if not."""
    with path.open("ab") as ticket:
        try:
            fcntl.flock(ticket, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        path.unlink(missing_ok=True)
        return False


def _numbers(folder: Path) -> list[int]:
    return [int(path.name) for path in folder.iterdir() if path.name.isdecimal()]


@contextmanager
def _door_lock(folder: Path) -> Iterator[None]:
    """Keep other processes from drawing or counting tickets."""
    with (folder / "door").open("ab") as door:
        fcntl.flock(door, fcntl.LOCK_EX)
        yield
