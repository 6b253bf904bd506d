"""A body must arrive within some seconds: a client that sends a byte a minute would hold a connection for hours."""

import asyncio
from typing import TypeAlias

from litestar.types import ASGIApp, HTTPReceiveMessage, Receive, Scope, Send, WebSocketReceiveMessage

from headrace.serving.http.problems import invalid

ReceiveMessage: TypeAlias = HTTPReceiveMessage | WebSocketReceiveMessage
ARRIVES_S = 10.0
"""How long a body may take: 256 KB in ten seconds are a fifth of a megabit per second."""


def limit_wait(app: ASGIApp, within_s: float = ARRIVES_S) -> ASGIApp:
    """The application; a body that is not complete `within_s` seconds after it was first asked for is a 408.

    If the client leaves before that, the request counts as a 400, not as an internal error.
    """

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in ("POST", "PUT"):
            await app(scope, receive, send)
            return
        complete, until_s = False, 0.0

        async def receive_in_time() -> ReceiveMessage:
            nonlocal complete, until_s
            if complete:  # waits for the client to disconnect
                return await receive()
            until_s = until_s or asyncio.get_running_loop().time() + within_s
            try:
                async with asyncio.timeout_at(until_s):
                    message = await receive()
            except TimeoutError as error:
                detail = f"The body was not complete {within_s:g} s after the request began."
                raise invalid(detail, status=408) from error
            if message["type"] == "http.disconnect":
                left = "The client closed the connection before the body was complete."
                raise invalid(left)
            complete = not message.get("more_body")
            return message

        await app(scope, receive_in_time, send)

    return handle
