"""A circuit breaker: calls that would fail are not made (M. Nygard, "Release It!", 2007).

closed → open, once half of at least 20 calls within ten seconds failed → after a pause half-open: a twentieth of the
calls are made, as probes → closed, once five probes in a row have succeeded, or open again for twice the pause.
"""

import random
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Literal, TypeAlias

State: TypeAlias = Literal["closed", "half-open", "open"]
WINDOW_S, CALLS, FAILED_RATIO = 10.0, 20, 0.5
PROBES, PROBE_RATIO, PROBE_EVERY_S = 5, 0.05, 0.5
FIRST_PAUSE_S = 1.0


class CircuitBreaker:
    """One dependency's breaker in one process; safe to use from several threads.

    `most_pause_s`: the longest time for which no call is made. In the half-open state at least one call is made each
    half second, however few there are.
    """

    def __init__(
        self, most_pause_s: float, *, clock: Callable[[], float] = time.monotonic, rng: random.Random | None = None
    ) -> None:
        self._most_pause_s = most_pause_s
        self._clock = clock
        self._rng = rng or random.Random()
        self._lock = threading.Lock()
        self._calls: deque[tuple[float, bool]] = deque()
        self._failed = 0
        self._state: State = "closed"
        self._pause_s = FIRST_PAUSE_S
        self._since_s = clock()

    @property
    def state(self) -> State:
        """The state now."""
        with self._lock:
            return self._current(self._clock())

    def allows(self) -> bool:
        """Whether to make a call; whoever makes it reports how it ended with `record`."""
        with self._lock:
            now_s = self._clock()
            state = self._current(now_s)
            if state == "half-open":
                due = now_s - self._since_s >= PROBE_EVERY_S or self._rng.random() < PROBE_RATIO
                self._since_s = now_s if due else self._since_s
                return due
            return state == "closed"

    def record(self, *, succeeded: bool) -> None:
        """Take the result of a call. Calls that began before the breaker opened are not counted."""
        with self._lock:
            now_s = self._clock()
            state = self._current(now_s)
            if state == "open":
                return
            self._calls.append((now_s, succeeded))
            self._failed += not succeeded
            if state == "closed":
                self._judge_calls(now_s)
            else:
                self._judge_probes(now_s, succeeded=succeeded)

    def _current(self, now_s: float) -> State:
        """The state at a time: a pause that is over makes an open breaker half-open."""
        if self._state == "open" and now_s - self._since_s >= self._pause_s:
            self._enter("half-open", now_s - PROBE_EVERY_S)
        return self._state

    def _judge_calls(self, now_s: float) -> None:
        while now_s - self._calls[0][0] > WINDOW_S:
            self._failed -= not self._calls.popleft()[1]
        if len(self._calls) >= CALLS and self._failed >= FAILED_RATIO * len(self._calls):
            self._enter("open", now_s)

    def _judge_probes(self, now_s: float, *, succeeded: bool) -> None:
        if not succeeded:
            self._pause_s = min(self._pause_s * 2, self._most_pause_s)
            self._enter("open", now_s)
        elif len(self._calls) >= PROBES:
            self._pause_s = FIRST_PAUSE_S
            self._enter("closed", now_s)

    def _enter(self, state: State, since_s: float) -> None:
        self._state, self._since_s = state, since_s
        self._calls.clear()
        self._failed = 0
