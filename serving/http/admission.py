"""Admission: a few threads make slates, and a request that has waited too long for one of them is refused.

With more requests than the machine can answer, each would wait for all earlier ones, and so would every later one. The
answers would reach people who have left, and the model would learn from them as if they had been seen.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from serving.http.problems import unavailable
from serving.telemetry.stopwatch import Stopwatch

T = TypeVar("T")
_THREADS = 4  # of one interpreter: more would slow each other down, fewer would be idle during reads from Redis
_PATIENCE_S = 0.5


class Admission:
    """A queue for slates, first in first out."""

    def __init__(self, threads: int = _THREADS, patience_s: float = _PATIENCE_S) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="slate")
        self._patience_s = patience_s

    async def run(self, work: Callable[[], T], watch: Stopwatch) -> T:
        """Run `work` on one of the threads and return its result; the time in the queue is the watch's stage `wait`.

        Raises:
            ProblemError: 503, the request waited longer than a person would.
        """
        queued_s = time.monotonic()

        def admitted() -> T:
            waited_s = time.monotonic() - queued_s
            if waited_s > self._patience_s:
                detail = (
                    f"The request waited {waited_s * 1000:.0f} ms for its turn, the limit is "
                    f"{self._patience_s * 1000:.0f} ms: more slates are requested than this process can make."
                )
                raise unavailable(detail)
            watch.took_ms["wait"] = waited_s * 1000
            return work()

        return await asyncio.get_running_loop().run_in_executor(self._pool, admitted)
