"""Paths between server and framework: ids in paths stay whole, and HEAD is GET without its body.

The framework's router splits the decoded path, in which the slash of an id looks like a separator. Here it gets the
segments as they were sent, with `/` and `%` still encoded; handlers decode them with `id_of`.
"""

from typing import Any
from urllib.parse import unquote

from litestar.types import ASGIApp, Message, Receive, Scope, Send

from headrace.schemas.limits import text_fault
from headrace.serving.http.problems import invalid

_WITH_ALLOW = (204, 405)  # statuses of OPTIONS, and of a method that a path does not have


def keep_ids_whole(app: ASGIApp) -> ASGIApp:
    """The application, with rewritten paths."""

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        raw: Any = scope.get("raw_path")
        if raw:
            scope["path"] = "/".join(_segment(part) for part in raw.split(b"?")[0].split(b"/"))
        if scope["method"] == "HEAD":
            scope["method"] = "GET"
            send = _without_body(send)
        await app(scope, receive, _with_head_allowed(send))

    return handle


def id_of(segment: str) -> str:
    """The id in a segment of the path.

    Raises:
        ProblemError: it is not a valid id.
    """
    return checked_id(unquote(segment))


def checked_id(text: str) -> str:
    """An id from the address, checked.

    Raises:
        ProblemError: it is not a valid id.
    """
    found = text_fault(text) or (("missing", "it is blank") if not text or text.isspace() else None)
    if found:
        detail = f"The id {text[:60]!a} in the address is not valid: {found[1]}."
        raise invalid(detail, fix="Send the id as it is in events and items, percent-encoded.")
    return text


def _segment(raw: bytes) -> str:
    return unquote(raw.decode("latin-1"), errors="replace").replace("%", "%25").replace("/", "%2F")


def _with_head_allowed(send: Send) -> Send:
    """`Allow` of a path with GET lists HEAD too; the framework does not know that it is answered."""

    async def send_allow(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] in _WITH_ALLOW:
            message["headers"] = [
                (name, value.replace(b"GET", b"GET, HEAD") if name == b"allow" else value)
                for name, value in message["headers"]
            ]
        await send(message)

    return send_allow


def _without_body(send: Send) -> Send:
    async def send_head(message: Message) -> None:
        if message["type"] == "http.response.body":
            message["body"] = b""
        await send(message)

    return send_head
