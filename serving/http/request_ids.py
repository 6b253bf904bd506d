"""`X-Request-Id`: the id that a request came with, or a new one, on every answer and in the log of errors."""

import re
import secrets
from typing import Any

from litestar.types import ASGIApp, Message, Receive, Scope, Send

REQUEST_ID = "headrace.request_id"
ADDED = "headrace.headers"
"""Keys of a request's scope: its id; and headers to add to its answer, whatever that is."""
HEADER = b"x-request-id"
_VALID = re.compile(rb"[\x21-\x7e]{1,128}")


def identify(app: ASGIApp) -> ASGIApp:
    """The application, whose answers have the request's id."""

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        given = next((value for name, value in scope["headers"] if name == HEADER), b"")
        name = given if _VALID.fullmatch(given) else secrets.token_hex(12).encode()
        open_scope: Any = scope  # its type allows the keys of the framework only
        open_scope[REQUEST_ID] = name.decode()

        async def send_identified(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (HEADER, name), *open_scope.get(ADDED, ())]
            await send(message)

        await app(scope, receive, send_identified)

    return handle
