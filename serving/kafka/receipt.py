"""What became of the records of one request."""

import threading
from collections.abc import Callable


class Receipt:
    """Counts down the records of one request; they are kept, or refused, by several threads.

    Args:
        count: how many records there are.
        count_refused: called for each that is refused.
    """

    def __init__(self, count: int, count_refused: Callable[[], None] = lambda: None) -> None:
        self._open = set(range(count))
        self._refused: set[int] = set()
        self._count_refused = count_refused
        self._lock = threading.Lock()
        self._done = threading.Event()
        if not count:
            self._done.set()

    def keep(self, index: int) -> None:
        """The broker, or the disk, has this record."""
        self._settle(index)

    def refuse(self, index: int) -> None:
        """Nobody has this record."""
        with self._lock:
            self._refused.add(index)
        self._count_refused()
        self._settle(index)

    def wait(self, timeout_s: float) -> list[int]:
        """Wait until all are settled; returns those that were refused, or are not settled in time."""
        self._done.wait(timeout_s)
        with self._lock:
            return sorted(self._refused | self._open)

    def _settle(self, index: int) -> None:
        with self._lock:
            self._open.discard(index)
            done = not self._open
        if done:
            self._done.set()
