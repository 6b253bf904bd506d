"""Refuses requests before the framework sees them, while a worker is busy: a refusal must cost next to nothing."""

import time
from collections.abc import Callable

import msgspec
from litestar.config.cors import CORSConfig
from litestar.types import ASGIApp, Receive, Scope, Send

from headrace.serving.http.answers import MEDIA_TYPE
from headrace.serving.http.cors import Headers, headers_for
from headrace.serving.http.problems import shed_problem
from headrace.serving.limits.admission import Admission
from headrace.serving.limits.shed import Shed
from headrace.serving.limits.traffic import ADMIN_SHARE

RECEIVED = "headrace.received"
"""Key of a request's scope: when the worker received it, seconds of the monotonic clock."""
_SLATES = ("/v1/recommendations", "/v1/recommendations:stream")
_ADMIN = ("/v1/models", "/v1/features")


def shed_excess(
    app: ASGIApp, admission: Admission, count: Callable[[int, Exception], None], origins: CORSConfig
) -> ASGIApp:
    """The application, without the requests that could not be answered in time even if they were the most important.

    `count` is called with the status and exception of each refusal. Pages of `origins` may read a refusal.
    """

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        scope[RECEIVED] = time.monotonic()  # pyright: ignore[reportGeneralTypeIssues]
        share = 0.0 if scope["method"] == "OPTIONS" else _largest_share(scope["path"])
        if share and not admission.admits(share=share):
            shed = admission.refusal()
            count(503, shed)
            origin = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"origin"), "")
            await _refuse(shed, send, headers_for(origins, origin))
        else:
            await app(scope, receive, send)

    return handle


def _largest_share(path: str) -> float:
    """The part of the objective that a request to this path may use at most; 0 for those that are never refused."""
    if path in _SLATES:
        return 1.0
    return ADMIN_SHARE if path.startswith(_ADMIN) else 0.0


async def _refuse(shed: Shed, send: Send, more: Headers) -> None:
    problem, headers = shed_problem(shed)
    body = msgspec.json.encode(problem)
    sent = {**headers, **more, "content-type": MEDIA_TYPE, "content-length": str(len(body))}
    await send(
        {
            "type": "http.response.start",
            "status": problem.status,
            "headers": [(name.lower().encode(), value.encode()) for name, value in sent.items()],
        }
    )
    await send({"type": "http.response.body", "body": body, "more_body": False})
