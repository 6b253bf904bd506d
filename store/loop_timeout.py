"""A time limit that counts only the time in which the event loop runs.

A process that has no CPU for a while, or that computes, finds every timer overdue when it continues, and would blame
the server for its own pause. Here a pause counts as one tick, however long it is.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

_TICKS = 5


@asynccontextmanager
async def loop_timeout(limit_s: float) -> AsyncGenerator[None, None]:
    """Cancel the block once it has taken `limit_s` of the loop's time.

    Raises:
        TimeoutError: it was cancelled.
    """
    loop, tick_s = asyncio.get_running_loop(), limit_s / _TICKS

    def tick(left: int) -> None:
        nonlocal timer
        if left:
            timer = loop.call_later(tick_s, tick, left - 1)
        else:
            limit.reschedule(loop.time())

    async with asyncio.timeout(None) as limit:
        timer = loop.call_later(tick_s, tick, _TICKS - 1)
        try:
            yield
        finally:
            timer.cancel()
