"""When a call is tried again: what failed, the time that remains, and a budget that all calls of a client share."""

import random
import time
from collections.abc import Callable
from typing import Any

import httpx

from headrace.client.calls import Call
from headrace.client.errors import DeadlineExceeded, Unreachable
from headrace.schemas.limits import DEADLINE_LEAST_MS, DEADLINE_MOST_MS

_RETRIED = (429, 503)
_ATTEMPTS = 4
_FIRST_PAUSE_S, _MOST_PAUSE_S = 0.05, 2.0
RESERVE = 5.0  # retries that a new client may make at once


class RetryBudget:
    """Each call earns a part of a retry, so that retries never add more than this part to the load of a busy API.

    >>> budget = RetryBudget(0.1)
    >>> for _ in range(100): budget.earn()
    >>> sum(budget.spend() for _ in range(100))
    5
    """

    def __init__(self, ratio: float) -> None:
        self._ratio = ratio
        self._saved = RESERVE if ratio else 0.0

    def earn(self) -> None:
        """A call begins."""
        self._saved = min(RESERVE, self._saved + self._ratio)

    def spend(self) -> bool:
        """Whether there is a retry left; it is spent."""
        if self._saved < 1:
            return False
        self._saved -= 1
        return True


class Attempts:
    """The attempts of one call. `within_s`: how long its answer is of use, all attempts together."""

    def __init__(self, budget: RetryBudget, within_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        budget.earn()
        self._budget = budget
        self._within_s = within_s
        self._clock = clock
        self._end_s = clock() + within_s
        self._made = 0

    def remaining_s(self) -> float:
        """Seconds that remain for the next attempt.

        Raises:
            DeadlineExceeded: none do.
        """
        remaining_s = self._end_s - self._clock()
        if remaining_s <= 0:
            raise self.exceeded()
        return remaining_s

    def headers(self, call: Call[Any]) -> dict[str, str]:
        """The headers of the next attempt: the API need not begin what cannot be ready in time."""
        if not call.bounded:
            return call.headers
        left_ms = min(DEADLINE_MOST_MS, max(DEADLINE_LEAST_MS, int(self.remaining_s() * 1000)))
        return {**call.headers, "X-Deadline-Ms": str(left_ms)}

    def pause_s(self, call: Call[Any], outcome: httpx.Response | httpx.TransportError) -> float | None:
        """Seconds until the next attempt; None if this outcome is final.

        Raises:
            DeadlineExceeded, Unreachable: there was no answer, and there is no other attempt.
        """
        self._made += 1
        if isinstance(outcome, httpx.Response) and outcome.status_code not in _RETRIED:
            return None
        late = isinstance(outcome, httpx.TimeoutException)
        pause_s = self._backoff_s(outcome)
        fits = call.retry and not late and self._made < _ATTEMPTS and self._clock() + pause_s < self._end_s
        if fits and self._budget.spend():
            return pause_s
        if isinstance(outcome, httpx.Response):
            return None
        if late:
            raise self.exceeded() from outcome
        message = f"The API cannot be reached ({type(outcome).__name__}: {outcome}); check its address and state."
        raise Unreachable(message) from outcome

    def exceeded(self) -> DeadlineExceeded:
        """The error of a call without an answer in time."""
        return DeadlineExceeded(f"There was no answer within {self._within_s * 1000:g} ms.")

    def _backoff_s(self, outcome: httpx.Response | httpx.TransportError) -> float:
        """Twice as long after each attempt, at random below that, and not before `Retry-After`."""
        most_s = min(_MOST_PAUSE_S, _FIRST_PAUSE_S * 2**self._made)
        after = outcome.headers.get("retry-after", "") if isinstance(outcome, httpx.Response) else ""
        return (float(after) if after.isdecimal() else 0.0) + random.uniform(0, most_s)
