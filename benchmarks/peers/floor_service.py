"""The floor of `benchmarks/slates.py`: a raw ASGI handler with one Redis read and the matrix products of the ranker.

Its candidates, their rows and their inputs lie in memory; nothing is filtered, explained or logged.
"""

import os
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import msgspec
import numpy as np
import redis.asyncio as redis

from benchmarks.peers.slate_peers import SETTINGS_VARIABLE, SHOWN, WIDTH, PeerModel, PeerSettings
from headrace.schemas.http import RecommendationRequest

Send: TypeAlias = Callable[[dict[str, Any]], Awaitable[None]]
Receive: TypeAlias = Callable[[], Awaitable[dict[str, Any]]]
Application: TypeAlias = Callable[[dict[str, Any], Receive, Send], Awaitable[None]]


def create() -> Application:
    """The application."""
    settings = msgspec.json.decode(os.environ[SETTINGS_VARIABLE], type=PeerSettings)
    peer, client = PeerModel(settings), redis.Redis.from_url(settings.redis)
    rng = np.random.default_rng(1)
    inputs = rng.normal(0, 1, (settings.candidates, WIDTH)).astype(np.float32)
    decoder = msgspec.json.Decoder(RecommendationRequest)

    async def application(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        request = decoder.decode(body)
        history: list[int] = msgspec.json.decode(await client.get(f"state:{request.user_id}") or b"[]")
        begin = history[0] % (settings.items - settings.candidates)
        candidates = np.arange(begin, begin + settings.candidates)
        score = peer.score(request.user_id or "", history, candidates, inputs)
        best = np.argsort(-score)[:SHOWN].tolist()
        answer = msgspec.json.encode([{"id": f"i{begin + at}", "score": float(score[at])} for at in best])
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    return application
