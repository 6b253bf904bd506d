"""What lies between the server and the framework: ids in paths stay whole, and HEAD is GET without its body.

The framework's router splits the decoded path, in which a slash of an id looks like one of ours. It is given the
segments as they were sent instead, with `/` and `%` still encoded; handlers decode them by `id_of`.
"""

from typing import Any
from urllib.parse import unquote

from litestar.types import ASGIApp, Message, Receive, Scope, Send

from schemas.limits import text_fault
from serving.http.problems import invalid


def whole(app: ASGIApp) -> ASGIApp:
    """The application behind this rewriting."""

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        raw: Any = scope.get("raw_path")
        if raw:
            scope["path"] = "/".join(_segment(part) for part in raw.split(b"?")[0].split(b"/"))
        if scope["method"] == "HEAD":
            scope["method"] = "GET"
            await app(scope, receive, _without_body(send))
        else:
            await app(scope, receive, send)

    return handle


def id_of(segment: str) -> str:
    """An id from a segment of the path.

    Raises:
        Fault: no id can be so.
    """
    return checked_id(unquote(segment))


def checked_id(text: str) -> str:
    """An id from the address.

    Raises:
        Fault: no id can be so.
    """
    found = text_fault(text) or (("missing", "it is blank") if not text or text.isspace() else None)
    if found:
        detail = f"The id {text[:60]!a} in the address is none: {found[1]}."
        raise invalid(detail, fix="Send the id as the events and items have it, percent-encoded.")
    return text


def _segment(raw: bytes) -> str:
    return unquote(raw.decode("latin-1"), errors="replace").replace("%", "%25").replace("/", "%2F")


def _without_body(send: Send) -> Send:
    async def send_head(message: Message) -> None:
        if message["type"] == "http.response.body":
            message["body"] = b""
        await send(message)

    return send_head
