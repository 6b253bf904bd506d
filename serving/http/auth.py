"""Authorization by one bearer token, compared in constant time; and request ids."""

import hashlib
import hmac
import secrets
from collections.abc import Callable
from typing import Any

from litestar.connection import ASGIConnection
from litestar.exceptions import NotAuthorizedException
from litestar.handlers import BaseRouteHandler

OPEN = "open"  # option of a handler that anyone may call
_SCHEME = "bearer "

Guard = Callable[[ASGIConnection[Any, Any, Any, Any], BaseRouteHandler], None]


def guard(token: str) -> Guard:
    """Refuse requests without the token. Both sides are hashed first, so that timing does not reveal the length."""
    expected = hashlib.sha256(token.encode()).digest()

    def check(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        if handler.opt.get(OPEN) or connection.scope.get("method") == "OPTIONS":
            return
        header = connection.headers.get("authorization", "")
        given = header[len(_SCHEME) :] if header.lower().startswith(_SCHEME) else ""
        if not hmac.compare_digest(hashlib.sha256(given.encode()).digest(), expected):
            detail = "The bearer token is absent or not the one expected."
            raise NotAuthorizedException(detail, headers={"WWW-Authenticate": "Bearer"})

    return check


def request_id() -> str:
    """A unique request id: 96 random bits."""
    return f"r{secrets.token_hex(12)}"
