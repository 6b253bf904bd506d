"""Batches of events and items that are worked on at once are limited; those beyond are refused, not queued."""

from litestar.types import ASGIApp, Receive, Scope, Send

from headrace.serving.http.slow_bodies import ReceiveMessage
from headrace.serving.limits.shed import Shed

_PATHS = ("/v1/events", "/v1/items:batchUpsert")
MOST = 128
"""In one worker: four for each thread that waits for the broker."""


def limit_batches(app: ASGIApp, most: int = MOST) -> ASGIApp:
    """The application. A batch counts once its body is complete, so slow senders do not keep others out."""
    in_progress = 0

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal in_progress
        if scope["type"] != "http" or scope["path"] not in _PATHS:
            await app(scope, receive, send)
            return
        counted = False

        async def receive_counted() -> ReceiveMessage:
            nonlocal in_progress, counted
            message = await receive()
            if message["type"] == "http.request" and not message.get("more_body") and not counted:
                if in_progress >= most:
                    detail = f"This worker is busy with {in_progress} batches of events and items."
                    raise Shed(detail, reason="busy")
                in_progress, counted = in_progress + 1, True
            return message

        try:
            await app(scope, receive_counted, send)
        finally:
            in_progress -= counted

    return handle
