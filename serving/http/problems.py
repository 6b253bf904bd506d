"""Errors as `application/problem+json` (RFC 9457): the value, the expectation, the fix."""

import http
import sys
import traceback
from typing import Any

from litestar import Request, Response
from litestar.exceptions import HTTPException
from litestar.openapi import ResponseSpec

from schemas.http import Problem
from serving.limits.shed import Shed
from serving.state.report import NotPublished

MEDIA_TYPE = "application/problem+json"
DEGRADED = "X-Degraded-Level"
COUNT = "count_error"  # key in the app's state: the function that counts error answers
FIX_REQUEST = "Correct the request; /schema/openapi.json has the types."
_FIXES = {
    401: "Send the header `Authorization: Bearer TOKEN` with the token that serving was started with.",
    404: "See /schema/openapi.json for the paths.",
    405: "See /schema/openapi.json for the methods of this path.",
    413: "Send fewer records at once: a body has at most 256 KB.",
    415: "Send JSON with `Content-Type: application/json`.",
}
_NAMES = {401: "unauthorized", 404: "not-found", 405: "method", 413: "too-large", 415: "media-type"}


_DESCRIPTIONS = {
    400: "The request is not valid",
    401: "The token is missing or wrong",
    503: "A service is unavailable, or too many requests are waiting; try again after Retry-After seconds",
}
ANSWERS = {
    status: ResponseSpec(Problem, media_type=MEDIA_TYPE, generate_examples=False, description=description)
    for status, description in _DESCRIPTIONS.items()
}


class ProblemError(Exception):
    """A problem to answer with."""

    def __init__(self, problem: Problem, headers: dict[str, str] | None = None) -> None:
        super().__init__(problem.detail)
        self.problem = problem
        self.headers = headers or {}


def invalid(detail: str, *, fix: str, pointer: str = "", status: int = 400) -> ProblemError:
    """A request that is not valid."""
    kind = "not-found" if status == 404 else "invalid"
    title = "Not found" if status == 404 else "The request is not valid"
    return ProblemError(Problem(type=kind, title=title, status=status, detail=detail, fix=fix, pointer=pointer))


def unavailable(detail: str, *, retry_after_s: int = 2) -> ProblemError:
    """Something is unavailable now. The same request may succeed later, and repeating it does no harm."""
    problem = Problem(
        type="unavailable",
        title="Service unavailable",
        status=503,
        detail=detail,
        fix="Send the same request again after the seconds in Retry-After.",
    )
    return ProblemError(problem, {"Retry-After": str(retry_after_s)})


def shed_problem(shed: Shed) -> tuple[Problem, dict[str, str]]:
    """The problem, and its headers, of a request for which there is no time."""
    error = unavailable(str(shed))
    return error.problem, {"Retry-After": "1", DEGRADED: "L6"}


def _of_http(error: HTTPException) -> Problem:
    """An error from the framework."""
    status = error.status_code
    faults = error.extra if isinstance(error.extra, list) else []
    details = "".join(f"; {fault.get('key', '')}: {fault.get('message', '')}" for fault in faults)
    return Problem(
        type=_NAMES.get(status, "invalid" if status < 500 else "internal"),
        title=http.HTTPStatus(status).phrase,
        status=status,
        detail=f"{error.detail}{details}",
        fix=_FIXES.get(status, FIX_REQUEST),
    )


def respond(request: Request[Any, Any, Any], error: Exception) -> Response[Problem]:
    """The answer to any exception; an unexpected one is printed and answered with 500."""
    headers: dict[str, str] = {}
    if isinstance(error, ProblemError):
        problem, headers = error.problem, error.headers
    elif isinstance(error, Shed):
        problem, headers = shed_problem(error)
    elif isinstance(error, NotPublished):
        known = unavailable(f"Serving is starting: {error}.")
        problem, headers = known.problem, known.headers
    elif isinstance(error, HTTPException):
        problem, headers = _of_http(error), error.headers or {}
    else:
        traceback.print_exception(error, file=sys.stderr)
        problem = Problem(
            type="internal", title="Internal error", status=500, detail=type(error).__name__, fix="Look at the log."
        )
    if count := request.app.state.get(COUNT):
        count(problem.status, error)
    return Response(problem, status_code=problem.status, media_type=MEDIA_TYPE, headers=headers)
