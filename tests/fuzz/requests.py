"""Fuzzes the API with a real store and a broker: no request gets a 5xx answer, and none crashes the application.

The broker is librdkafka's mock broker in this process; the API's records are delivered to it.
"""

import asyncio
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import msgspec

from headrace.schemas.http import Problem
from headrace.serving import app
from headrace.serving.http.problem_types import type_of
from headrace.serving.http.protobuf import MEDIA_TYPES
from tests.fuzz.cases import Found
from tests.fuzz.mutation import Mutator
from tests.support import serving_states as worlds
from tests.support.api import HEADERS, KEYS
from tests.support.running_services import running_services

_AT_ONCE = 16
_UNAVAILABLE = type_of(503).type  # the store or the broker did not answer in time, as on a busy machine
_EVENT = {"event_id": "e1", "user_id": "u1", "event_type": "click", "item_id": "i1", "value": 1.5, "position": 0}
_ITEM = {"item_id": "i1", "category": "c1", "title": "t", "price": 3.5, "tags": ["a"], "stock": 3, "takedown": False}
_RECOMMENDATION = {
    "user_id": "u1", "session_id": "s", "surface": "feed", "count": 5, "context": {"device": "ios"},
    "exclude_items": ["i2"], "explain": "basic", "page_token": "AQAAAAAAAAA",
}  # fmt: skip
_PATHS = (
    "/v1/features/user_recent/{}", "/v1/features/{}/u1", "/v1/features/user_category?key={}&key={}", "/v1/models",
    "/v1/items/{}/similar", "/v1/items/i1/similar?{}", "/health/live", "/metrics", "/schema/openapi.json", "/{}",
)  # fmt: skip
_METHODS = ("GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "POST")
Sent = tuple[str, str, list[tuple[str, str]], bytes]
"""Method, path and query percent-encoded, headers, body."""


class Requests:
    """Fuzzes the application, called as an ASGI server calls it."""

    name = "requests"

    def __init__(self, rng: random.Random) -> None:
        self.counts: Counter[str] = Counter()
        self._mutator, self._resources = Mutator(rng), ExitStack()
        folder = Path(self._resources.enter_context(tempfile.TemporaryDirectory()))
        parts = self._resources.enter_context(running_services(folder))
        self._disconnect = parts.disconnect
        self._app = app.create(parts, KEYS, ["https://shop.example"])
        self._loop = asyncio.new_event_loop()

    def close(self) -> None:
        """Close the connections, the broker and the store."""
        if self._loop.is_closed():
            return
        self._loop.run_until_complete(_finish_tasks())
        self._loop.run_until_complete(self._disconnect())
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()
        self._resources.close()

    def make(self) -> bytes:
        """Make one request: a valid one with an altered body, path, method or headers."""
        mutator = self._mutator
        rng = mutator.rng
        method, path, body = self._valid_request()
        kind = rng.randrange(6)
        if kind == 1 and body:
            body = mutator.damage(body)
        elif kind == 2:
            body = mutator.json(mutator.value(3))
        elif kind == 3:
            method = rng.choice(_METHODS)
        elif kind == 4:
            path = rng.choice(_PATHS).format(*[quote(_bytes(mutator.text()), safe="") for _ in range(2)])
            method, body = "GET", b""
        keyed = {} if rng.random() < 0.1 else HEADERS
        headers = list({**keyed, "Content-Type": rng.choice(("application/json", *MEDIA_TYPES))}.items())
        if rng.random() < 0.2:
            names = (
                "Content-Type",
                "Authorization",
                "Accept",
                "Origin",
                "Accept-Encoding",
                "Content-Length",
                "X-Request-Id",
            )
            headers.append((rng.choice(names), rng.choice((_latin(mutator.text()), *MEDIA_TYPES))))
            rng.shuffle(headers)
        return msgspec.msgpack.encode((method, path, headers, body))

    def run(self, payload: bytes) -> None:
        """Send one request."""
        self.run_all([payload])

    def run_all(self, payloads: Iterable[bytes]) -> None:
        """Send requests, up to `_AT_ONCE` at a time."""
        self._loop.run_until_complete(self._ask_all(list(payloads)))

    def _valid_request(self) -> tuple[str, str, bytes]:
        mutator = self._mutator
        rng = mutator.rng
        now = worlds.NOW if rng.random() < 0.2 else _now()
        event = _EVENT | {"event_id": f"e{rng.randrange(1 << 30)}", "occurred_at": now}
        alter: Callable[[dict[str, object]], dict[str, object]] = mutator.alter if rng.random() < 0.6 else dict
        method, path, value = rng.choice(
            (
                ("POST", "/v1/recommendations", alter(_RECOMMENDATION)),
                ("POST", "/v1/recommendations:stream", alter(_RECOMMENDATION)),
                ("POST", "/v1/events", {"events": [alter(event) for _ in range(rng.choice((1, 3)))]}),
                ("POST", "/v1/items:batchUpsert", {"items": [alter(_ITEM) for _ in range(rng.choice((1, 3)))]}),
                ("PUT", "/v1/models/aliases/frozen", alter({"version": "live", "why": "w"})),
                ("GET", "/v1/features/user_category?key=u1&key=c1", None),
            )
        )
        return method, path, b"" if value is None else mutator.json(value)

    async def _ask_all(self, payloads: list[bytes]) -> None:
        for first in range(0, len(payloads), _AT_ONCE):
            some = payloads[first : first + _AT_ONCE]
            answers = await asyncio.gather(*map(self._ask, some), return_exceptions=True)
            for answer in answers:
                if answer is not None:
                    raise answer

    async def _ask(self, payload: bytes) -> None:
        method, path, headers, body = msgspec.msgpack.decode(payload, type=Sent)
        try:
            status, answer = await asyncio.wait_for(self._call(method, path, headers, body), 60)
            self.counts[f"{status // 100}xx"] += 1
            if status >= 500:
                problem = msgspec.json.decode(answer, type=Problem)
                self.counts[f"{status}, the store or the broker was unavailable"] += 1
                assert problem.type == _UNAVAILABLE, f"{status}: {answer[:300]!r}"
        except Exception as error:
            raise Found(self.name, payload) from error

    async def _call(self, method: str, target: str, headers: list[tuple[str, str]], body: bytes) -> tuple[int, bytes]:
        path, _, query = target.partition("?")
        scope: dict[str, Any] = {
            "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "method": method,
            "scheme": "http", "path": unquote(path), "raw_path": path.encode(), "query_string": query.encode(),
            "root_path": "", "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers],
            "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "state": {},
        }  # fmt: skip
        received = iter(({"type": "http.request", "body": body, "more_body": False},))
        sent: list[Any] = []

        async def receive() -> Any:
            return next(received, {"type": "http.disconnect"})

        async def send(message: Any) -> None:
            sent.append(message)

        await self._app(scope, receive, send)  # type: ignore[arg-type] Litestar's own types of scope and message
        answer = b"".join(each.get("body", b"") for each in sent if each["type"] == "http.response.body")
        return sent[0]["status"], answer


async def _finish_tasks() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.gather(*others, return_exceptions=True)


def _now() -> int:
    return time.time_ns() // 1_000_000


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _latin(text: str) -> str:
    """The characters of a text that a server accepts in a header value."""
    return "".join(each for each in text if 32 <= ord(each) < 256 and ord(each) != 127).strip()
