"""The open loop counts what a server answers, refuses and leaves unanswered, from the time a request was due."""

import asyncio
import threading
from collections.abc import Callable

import pytest

from benchmarks.harness.open_loop import Load, post, run_load


def load_of(answer: Callable[[int], tuple[int, float] | None], *, rate: float = 100.0, seconds: float = 1.0) -> Load:
    """The load on a server that answers request n with a status after some seconds, or closes the connection."""
    ready, stop = threading.Event(), threading.Event()
    port, count = 0, 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        while await reader.read(65_536):
            count += 1
            found = answer(count)
            if found is None:
                break
            await asyncio.sleep(found[1])
            writer.write(f"HTTP/1.1 {found[0]} OK\r\nContent-Length: 2\r\n\r\n{{}}".encode())
        writer.close()

    async def run() -> None:
        nonlocal port
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        ready.set()
        async with server:
            while not stop.is_set():
                await asyncio.sleep(0.01)

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    try:
        assert ready.wait(10)
        return run_load(port, [post("/", b"{}", "token")], rate=rate, seconds=seconds, seed=1)
    finally:
        stop.set()
        thread.join()


def test_every_request_is_answered_and_counted() -> None:
    load = load_of(lambda _: (200, 0.0))
    assert (load.statuses, load.lost) == ({200: 100}, 0)
    assert load.answered_per_s == 100


def test_a_slow_server_delays_no_later_request_but_shows_in_the_latency() -> None:
    load = load_of(lambda _: (200, 0.3))
    assert load.statuses == {200: 100}
    assert load.p50_ms >= 300


def test_refusals_and_broken_connections_are_counted_apart() -> None:
    load = load_of(lambda number: None if number % 10 == 0 else (503 if number % 2 else 200, 0.0))
    assert load.lost > 0
    assert load.statuses[503] > 0
    assert sum(load.statuses.values()) + load.lost == 100
    assert load.refusal_p99_ms == pytest.approx(load.refusal_p99_ms)
