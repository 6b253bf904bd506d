"""Admission: slates are made by few threads, and a request that has waited too long for one of them is refused.

More requests than a machine can answer would each wait for all those before it, and so would every one that comes
later. The answers would be for people who have left, and be learnt from as if they had seen them.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from serving.http.problems import unavailable
from serving.telemetry.stopwatch import Stopwatch

T = TypeVar("T")
_THREADS = 4  # of one interpreter: more would slow each other down, fewer be idle while Redis is asked
_PATIENCE_S = 0.5


class Admission:
    """A queue for slates, first in first out."""

    def __init__(self, threads: int = _THREADS, patience_s: float = _PATIENCE_S) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="slate")
        self._patience_s = patience_s

    async def run(self, work: Callable[[], T], watch: Stopwatch) -> T:
        """What `work` returns, done on one of the threads; its wait is a stage of the watch, `wait`.

        Raises:
            Fault: 503, it has waited for longer than a person does.
        """
        asked_s = time.monotonic()

        def admitted() -> T:
            waited_s = time.monotonic() - asked_s
            if waited_s > self._patience_s:
                detail = (
                    f"The request waited {waited_s * 1000:.0f} ms for its turn, the limit is "
                    f"{self._patience_s * 1000:.0f} ms: more slates are requested than this process can make."
                )
                raise unavailable(detail)
            watch.took_ms["wait"] = waited_s * 1000
            return work()

        return await asyncio.get_running_loop().run_in_executor(self._pool, admitted)
