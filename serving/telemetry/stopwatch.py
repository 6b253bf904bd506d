"""Time per stage of one request, for the header `Server-Timing`."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Stopwatch:
    """Durations by stage, ms, in the order of the stages."""

    def __init__(self) -> None:
        self.took_ms: dict[str, float] = {}
        self._since = time.perf_counter()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time one stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.took_ms[name] = (time.perf_counter() - start) * 1000

    def spans(self) -> dict[str, float]:
        """Durations by stage, ms, and `total` since the stopwatch was made."""
        return {**self.took_ms, "total": (time.perf_counter() - self._since) * 1000}

    def header(self) -> str:
        """Value of `Server-Timing`."""
        return ", ".join(f"{name};dur={took:.2f}" for name, took in self.spans().items())
