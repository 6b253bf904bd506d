"""What a call may raise.

ApiError
├── Refused           the API answered with an error; `problem` says why
├── Unreachable       no connection, or one that broke
└── DeadlineExceeded  no answer in time
"""

from headrace.schemas.http import Problem


class ApiError(Exception):
    """A call has no answer that can be used."""


class Refused(ApiError):
    """The API answered with an error.

    Attributes:
        problem: the value, the expectation and the fix; `problem.status` is the HTTP status.
        request_id: names the request in the server's log.
    """

    def __init__(self, problem: Problem, request_id: str) -> None:
        super().__init__(f"{problem.status}: {problem.detail} {problem.fix}")
        self.problem = problem
        self.request_id = request_id


class Unreachable(ApiError):
    """The API cannot be reached."""


class DeadlineExceeded(ApiError):
    """The answer was not there in time."""
