"""So many at once, the others in the order they came: a numbered ticket each, locked while its process lives.

The system lets go of a lock when its process ends, however it ends: a ticket that nobody holds is thrown away.
"""

import fcntl
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_POLL_S = 0.5


@contextmanager
def in_turn(folder: Path, places: int) -> Iterator[None]:
    """Hold one of the places that all who share the folder share, once those who came before have theirs."""
    folder.mkdir(parents=True, exist_ok=True)
    with _shut(folder):
        number = max(_numbers(folder), default=0) + 1
        path = folder / str(number)
        ticket = path.open("xb")
        fcntl.flock(ticket, fcntl.LOCK_EX)
    try:
        told = 0
        while (before := _before(folder, number)) >= places:
            if before != told:
                sys.stdout.write(f"waiting: {before} came before, {places} run at once\n")
                sys.stdout.flush()
                told = before
            time.sleep(_POLL_S)
        yield
    finally:
        path.unlink(missing_ok=True)
        ticket.close()


def _before(folder: Path, number: int) -> int:
    """How many with a lower number live."""
    with _shut(folder):
        return sum(_lives(folder / str(other)) for other in _numbers(folder) if other < number)


def _lives(path: Path) -> bool:
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
def _shut(folder: Path) -> Iterator[None]:
    """Nobody draws a ticket or counts them meanwhile."""
    with (folder / "door").open("ab") as door:
        fcntl.flock(door, fcntl.LOCK_EX)
        yield
