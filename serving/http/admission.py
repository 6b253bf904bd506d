"""Admission: a few slates are in progress at once, and a request that has waited too long for its turn is refused.

With more requests than the machine can answer, each would wait for all earlier ones, and so would every later one. The
answers would reach people who have left, and the model would learn from them as if they had been seen.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from serving.http.problems import unavailable
from serving.telemetry.stopwatch import Stopwatch

T = TypeVar("T")
_AT_ONCE = 8  # while some wait for Redis, another is ranked
_PATIENCE_S = 0.5


class Admission:
    """A queue for slates, first in first out."""

    def __init__(self, at_once: int = _AT_ONCE, patience_s: float = _PATIENCE_S) -> None:
        self._turns = asyncio.Semaphore(at_once)
        self._patience_s = patience_s

    async def run(self, work: Callable[[], Awaitable[T]], watch: Stopwatch) -> T:
        """Await `work` and return its result; the time in the queue is the watch's stage `wait`.

        Raises:
            ProblemError: 503, the request waited longer than a person would.
        """
        queued_s = time.monotonic()
        async with self._turns:
            waited_s = time.monotonic() - queued_s
            if waited_s > self._patience_s:
                detail = (
                    f"The request waited {waited_s * 1000:.0f} ms for its turn, the limit is "
                    f"{self._patience_s * 1000:.0f} ms: more slates are requested than this process can make."
                )
                raise unavailable(detail)
            watch.took_ms["wait"] = waited_s * 1000
            return await work()
