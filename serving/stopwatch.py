"""Time per stage of one request, as the `Server-Timing` header wants it."""

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

    def header(self) -> str:
        """Value of `Server-Timing`; `total` counts from the stopwatch's making."""
        total = (time.perf_counter() - self._since) * 1000
        return ", ".join(f"{name};dur={took:.2f}" for name, took in {**self.took_ms, "total": total}.items())
