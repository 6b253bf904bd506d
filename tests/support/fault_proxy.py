"""A TCP proxy between a client and a server that a test can make fail, in one of the ways in which networks do."""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Coroutine, Iterator
from typing import Any, Literal, TypeAlias

Mode: TypeAlias = Literal["pass", "refuse", "black hole", "reset", "slow"]
"""How it treats connections.

pass: it forwards. refuse: nobody listens, and open connections are closed. black hole: it accepts and forwards nothing;
what was sent is forwarded later. reset: connections are reset, new ones at once. slow: a kilobyte at a time, and later.
"""
_CHUNK = 64 * 1024
_SLOW_CHUNK = 1024
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER on, zero seconds: closing sends RST


class FaultProxy:
    """The proxy. Its methods are called from any thread."""

    def __init__(self, port: int, target: int, loop: asyncio.AbstractEventLoop, *, slow_s: float) -> None:
        self.port = port
        self.mode: Mode = "pass"
        self._target = target
        self._loop = loop
        self._slow_s = slow_s
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._flows = asyncio.Event()

    def set(self, mode: Mode) -> None:
        """Fail in this way from now on; `pass` ends it. Returns once it is so."""
        self.run(self._set(mode))

    def run(self, task: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine on the proxy's loop, and wait for it."""
        asyncio.run_coroutine_threadsafe(task, self._loop).result(timeout=30)

    async def _set(self, mode: Mode) -> None:
        self.mode = mode
        if mode == "black hole":
            self._flows.clear()
        else:
            self._flows.set()
        if mode == "refuse":
            await self.close()
        elif self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        if mode in ("refuse", "reset"):
            self._drop(reset=mode == "reset")

    async def close(self) -> None:
        """Stop listening, and close what is open."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self._drop(reset=False)

    def _drop(self, *, reset: bool) -> None:
        for writer in [*self._open]:
            _end(writer, reset=reset)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.mode == "reset":
            _end(writer, reset=True)
            return
        with contextlib.suppress(OSError):
            to_reader, to_writer = await asyncio.open_connection("127.0.0.1", self._target)
            self._open |= {writer, to_writer}
            await asyncio.gather(self._pump(reader, to_writer), self._pump(to_reader, writer), return_exceptions=True)
            self._open -= {writer, to_writer}
        _end(writer, reset=False)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(_SLOW_CHUNK if self.mode == "slow" else _CHUNK):
                await self._flows.wait()
                if self.mode == "slow":
                    await asyncio.sleep(self._slow_s)
                writer.write(data)
                await writer.drain()
        finally:
            _end(writer, reset=False)


def _end(writer: asyncio.StreamWriter, *, reset: bool) -> None:
    with contextlib.suppress(OSError):
        if reset:
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.close()


@contextlib.contextmanager
def running(target: int, *, slow_s: float = 0.2) -> Iterator[FaultProxy]:
    """A proxy to this port of the machine, on a port of its own, which it keeps. `slow_s`: per kilobyte when slow."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="fault proxy", daemon=True)
    thread.start()
    proxy = FaultProxy(port, target, loop, slow_s=slow_s)
    proxy.set("pass")
    try:
        yield proxy
    finally:
        proxy.run(proxy.close())
        proxy.run(_cancel_others())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _cancel_others() -> None:
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
