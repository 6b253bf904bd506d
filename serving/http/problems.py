"""Errors as `application/problem+json` (RFC 9457): the value, the expectation, the fix."""

import sys
import traceback
from typing import Any

from litestar import Request, Response
from litestar.exceptions import HTTPException

from headrace.schemas.http import Problem
from headrace.schemas.limits import DEADLINE_MOST_MS
from headrace.serving.http.answers import MEDIA_TYPE
from headrace.serving.http.framework_errors import detail_of
from headrace.serving.http.problem_types import type_of
from headrace.serving.http.request_ids import REQUEST_ID
from headrace.serving.kafka.producer import CONFIRM_S
from headrace.serving.limits.shed import Shed
from headrace.serving.state.report import NotPublished

DEGRADED = "X-Degraded-Level"
COUNT = "count_error"  # key in the app's state: the function that counts error answers
AWAY = f"Kafka did not accept the records, or too many requests wait for it (each at most {CONFIRM_S:g} s)."

_MORE_TIME = (
    f"Allow more time with the header X-Deadline-Ms (at most {DEADLINE_MOST_MS}), or send the same request again after "
    "the seconds in Retry-After."
)


class ProblemError(Exception):
    """A problem to answer with."""

    def __init__(self, problem: Problem, headers: dict[str, str] | None = None) -> None:
        super().__init__(problem.detail)
        self.problem = problem
        self.headers = headers or {}


def invalid(detail: str, *, fix: str = "", pointer: str = "", status: int = 400) -> ProblemError:
    """A request that cannot be answered as it is."""
    return ProblemError(_problem(status, detail, fix=fix, pointer=pointer))


def unavailable(detail: str, *, fix: str = "", retry_after_s: int = 2) -> ProblemError:
    """Something is unavailable now. The same request may succeed later, and repeating it does no harm."""
    return ProblemError(_problem(503, detail, fix=fix), {"Retry-After": str(retry_after_s)})


def shed_problem(shed: Shed) -> tuple[Problem, dict[str, str]]:
    """The problem, and its headers, of a request for which there is no time."""
    error = unavailable(str(shed), fix="" if shed.reason == "busy" else _MORE_TIME, retry_after_s=1)
    return error.problem, {**error.headers, DEGRADED: "L6"}


def _problem(status: int, detail: str, *, fix: str = "", pointer: str = "") -> Problem:
    """A problem of the kind that a status has; without a `fix`, with the kind's."""
    kind = type_of(status)
    fix = fix or kind.fix
    return Problem(type=kind.type, title=kind.title, status=status, detail=detail, fix=fix, pointer=pointer)


def _is_out_of_memory(error: BaseException | None) -> bool:
    """Whether an exception, or the one that it comes from, is of a process that gets no more memory or threads."""
    while error is not None:
        if isinstance(error, MemoryError) or str(error) == "can't start new thread":
            return True
        error = error.__cause__ or error.__context__
    return False


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
    elif _is_out_of_memory(error):
        known = unavailable(f"This worker has no memory left ({error or 'MemoryError'}).")
        problem, headers = known.problem, known.headers
    elif isinstance(error, HTTPException):
        problem, headers = _problem(error.status_code, detail_of(error, request)), error.headers or {}
    else:
        name = request.scope.get(REQUEST_ID, "")
        print(f"request {name}: internal error", file=sys.stderr)
        traceback.print_exception(error, file=sys.stderr)
        problem = _problem(500, f"{type(error).__name__}, request {name}")
    if count := request.app.state.get(COUNT):
        count(problem.status, error)
    return Response(problem, status_code=problem.status, media_type=MEDIA_TYPE, headers=headers)
