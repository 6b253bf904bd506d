"""Wait for a condition with a deadline."""

import time
from collections.abc import Callable

from headrace.errors import EnvironmentProblem

_POLL_S = 0.1


def wait_until(condition: Callable[[], bool], *, what: str, deadline_s: float, hint: str) -> float:
    """Poll `condition` until it holds; returns the seconds waited. Its own errors count as "not yet".

    Raises:
        EnvironmentProblem: it did not hold before the deadline; the message says what was waited for,
            the last error seen, and the hint.
    """
    begun = time.monotonic()
    last: Exception | None = None
    while time.monotonic() - begun < deadline_s:
        try:
            if condition():
                return time.monotonic() - begun
        except Exception as error:  # any failure of a probe means "not yet"
            last = error
        time.sleep(_POLL_S)
    seen = f" (last error: {last!r})" if last else ""
    message = f"{what} was not there after {deadline_s:.0f} s{seen}. {hint}"
    raise EnvironmentProblem(message)
