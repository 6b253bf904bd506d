"""Authorization: who sends a request, whether they may, and how often."""

import math
import secrets
from collections.abc import Callable
from typing import Any

from litestar.connection import ASGIConnection
from litestar.exceptions import NotAuthorizedException
from litestar.handlers import BaseRouteHandler

from headrace.schemas.keys import Key, Scope, Traffic
from headrace.serving.http.keys import Keys
from headrace.serving.http.problems import ProblemError, invalid
from headrace.serving.http.request_ids import ADDED
from headrace.serving.http.token_bucket import TokenBucket

OPEN = "open"  # option of a handler that anyone may call
SCOPE = "scope"  # option of every other handler: the scope that its callers need
KEY = "headrace.key"  # key of a request's scope: the key that it came with
_SCHEME = "bearer "

Connection = ASGIConnection[Any, Any, Any, Any]
Guard = Callable[[Connection, BaseRouteHandler], None]


def guard(keys: Keys) -> Guard:
    """Refuse requests without a valid key (401), beyond its rate (429), or beyond its scopes and origins (403)."""

    def check(connection: Connection, handler: BaseRouteHandler) -> None:
        if handler.opt.get(OPEN) or connection.scope.get("method") == "OPTIONS":
            return
        header = connection.headers.get("authorization", "")
        found = keys.find(header[len(_SCHEME) :]) if header.lower().startswith(_SCHEME) else None
        if found is None:
            detail = "The bearer token is absent, or is not the token of a key."
            raise NotAuthorizedException(detail, headers={"WWW-Authenticate": "Bearer"})
        key, bucket = found
        scope: Any = connection.scope
        scope[KEY] = key
        if bucket:
            _take(key, bucket, scope, now_s=keys.now_s())
        _check_scope(key, handler.opt[SCOPE])
        origin = connection.headers.get("origin")
        if origin and key.origins and origin not in key.origins and "*" not in key.origins:
            raise _forbidden(key, f"may be used by pages of {', '.join(key.origins)}, this one is of {origin[:100]!r}")

    return check


def check_slate(key: Key, *, surface: str, traffic: Traffic, explain: str) -> None:
    """Refuse a slate that the key may not ask for.

    Raises:
        ProblemError: 403, which names what the key has and what the request needs.
    """
    if key.surfaces and surface not in key.surfaces:
        raise _forbidden(key, f"may ask for slates of {', '.join(key.surfaces)}, not of {surface[:60]!r}")
    if key.traffic and traffic not in key.traffic:
        raise _forbidden(key, f"may use the traffic classes {', '.join(key.traffic)}, not {traffic!r}")
    if explain != "none":
        _check_scope(key, "debug")


def request_id() -> str:
    """A unique id of a slate: 96 random bits."""
    return f"r{secrets.token_hex(12)}"


def _take(key: Key, bucket: TokenBucket, scope: Any, *, now_s: float) -> None:
    wait_s = bucket.take(now_s=now_s)
    scope[ADDED] = bucket.headers
    if wait_s:
        detail = f"The key {key.name!r} has used up its requests: this worker allows {bucket.rate_per_s:g} a second."
        raise ProblemError(invalid(detail, status=429).problem, {"Retry-After": str(math.ceil(wait_s))})


def _check_scope(key: Key, needed: Scope) -> None:
    if needed not in key.scopes:
        raise _forbidden(key, f"has the scopes {', '.join(key.scopes)}, this needs {needed!r}")


def _forbidden(key: Key, detail: str) -> ProblemError:
    return invalid(f"The key {key.name!r} {detail}.", status=403)
