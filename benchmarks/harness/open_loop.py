"""Open-loop load over HTTP/1.1: requests leave at their own times, however slow the answers are.

A latency counts from the time at which a request was due, not from when it was sent, so a queue in the client shows too
(no coordinated omission). Arrivals are a Poisson process. Connections are kept alive; one more is opened when none is
free.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence

import numpy as np
from msgspec import Struct

_DRAIN_S = 10.0
_MOST_CONNECTIONS = 512


class Load(Struct, frozen=True, kw_only=True):
    """What a load of `seconds` came to. Latencies are of answers 200 and of refusals, ms; NaN without any.

    `lost`: requests without an answer ten seconds after the end, or whose connection broke.
    """

    rate: float
    seconds: float
    statuses: dict[int, int]
    lost: int
    p50_ms: float
    p99_ms: float
    refusal_p99_ms: float

    @property
    def answered_per_s(self) -> float:
        """Answers 200 per second."""
        return self.statuses.get(200, 0) / self.seconds


def post(path: str, body: bytes, token: str) -> bytes:
    """The bytes of a POST of JSON."""
    head = f"POST {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n"
    return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def run_load(port: int, requests: Sequence[bytes], *, rate: float, seconds: float, seed: int) -> Load:
    """Send requests, each drawn from `requests`, to a server on this machine."""
    return asyncio.run(_Generator(port, requests, seed).run(rate, seconds))


class _Connection(asyncio.Protocol):
    """One kept-alive connection, with at most one request under way."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._answer: asyncio.Future[int] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def send(self, request: bytes) -> asyncio.Future[int]:
        """Send a request; the future is the status of its answer."""
        assert self.transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return self._answer

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(b"\r\n\r\n")
        if end < 0 or self._answer is None:
            return
        head = bytes(self._received[:end]).lower()
        at = head.find(b"content-length:")
        length = int(head[at + 15 : head.find(b"\r", at) if b"\r" in head[at:] else None])
        if len(self._received) >= end + 4 + length:
            self._received.clear()
            answer, self._answer = self._answer, None
            if not answer.done():
                answer.set_result(int(head[9:12]))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer and not self._answer.done():
            self._answer.set_exception(ConnectionError("the server closed the connection"))


class _Generator:
    def __init__(self, port: int, requests: Sequence[bytes], seed: int) -> None:
        self._port, self._requests = port, requests
        self._rng = np.random.default_rng(seed)
        self._idle: list[_Connection] = []
        self._slots = asyncio.Semaphore(_MOST_CONNECTIONS)
        self._took_ms: dict[int, list[float]] = {}
        self._lost = 0

    async def run(self, rate: float, seconds: float) -> Load:
        gaps_s = self._rng.exponential(1 / rate, round(rate * seconds))
        drawn = self._rng.integers(len(self._requests), size=len(gaps_s)).tolist()
        begun_s = time.perf_counter()
        pending: set[asyncio.Task[None]] = set()
        for due_s, index in zip((begun_s + np.cumsum(gaps_s)).tolist(), drawn, strict=True):
            if (wait_s := due_s - time.perf_counter()) > 0:
                await asyncio.sleep(wait_s)
            task = asyncio.create_task(self._ask(self._requests[index], due_s))
            pending.add(task)
            task.add_done_callback(pending.discard)
        _, late = await asyncio.wait(pending, timeout=_DRAIN_S) if pending else (set(), set[asyncio.Task[None]]())
        for task in late:
            task.cancel()
        for connection in self._idle:
            assert connection.transport is not None
            connection.transport.close()
        return self._sum_up(rate, seconds, lost=self._lost + len(late))

    async def _ask(self, request: bytes, due_s: float) -> None:
        async with self._slots:
            try:
                connection = self._idle.pop() if self._idle else await self._connect()
                status = await connection.send(request)
            except OSError:
                self._lost += 1
                return
            self._took_ms.setdefault(status, []).append((time.perf_counter() - due_s) * 1000)
            self._idle.append(connection)

    async def _connect(self) -> _Connection:
        _, connection = await asyncio.get_running_loop().create_connection(_Connection, "127.0.0.1", self._port)
        return connection

    def _sum_up(self, rate: float, seconds: float, *, lost: int) -> Load:
        answered = self._took_ms.get(200) or [float("nan")]
        refused = [took for status, all_took in self._took_ms.items() if status != 200 for took in all_took]
        p50, p99 = np.percentile(answered, (50, 99))
        return Load(
            rate=round(rate, 1),
            seconds=seconds,
            statuses=dict(Counter({status: len(took) for status, took in self._took_ms.items()})),
            lost=lost,
            p50_ms=round(float(p50), 2),
            p99_ms=round(float(p99), 2),
            refusal_p99_ms=round(float(np.percentile(refused or [float("nan")], 99)), 2),
        )
