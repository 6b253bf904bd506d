"""Wait for a condition with a deadline."""

import time
from collections.abc import Callable

from headrace.errors import EnvironmentProblem

_POLL_S = 0.1


def wait_until(condition: Callable[[], bool], *, what: str, deadline_s: float, hint: str) -> float:
    """Poll `condition` until it is true and return the seconds waited; an exception counts as "not yet".

    Raises:
        EnvironmentProblem: it was not true before the deadline; the message gives `what`, the last error and the hint.
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
    message = f"timed out after {deadline_s:.0f} s waiting for {what}{seen}. {hint}"
    raise EnvironmentProblem(message)
