"""A limit that a pause of the process does not use up."""

import asyncio
import time

import pytest

from headrace.store.loop_timeout import loop_timeout


def test_a_block_that_waits_too_long_is_cancelled() -> None:
    async def run() -> None:
        async with loop_timeout(0.02):
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        asyncio.run(run())


def test_a_pause_of_the_process_is_not_the_servers() -> None:
    """What is awaited is there when the loop runs again, long after the limit."""

    async def run() -> str:
        loop = asyncio.get_running_loop()
        answer = loop.create_future()
        loop.call_soon(time.sleep, 0.2)  # ten times the limit
        async with loop_timeout(0.02):
            loop.call_later(0.01, answer.set_result, "in time")
            return await answer

    assert asyncio.run(run()) == "in time"


def test_the_end_of_a_block_ends_its_limit() -> None:
    async def run() -> None:
        for _ in range(3):
            async with loop_timeout(0.02):
                await asyncio.sleep(0)
        await asyncio.sleep(0.05)

    asyncio.run(run())


def test_another_fault_stays_what_it_is() -> None:
    async def run() -> None:
        async with loop_timeout(60):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        asyncio.run(run())
