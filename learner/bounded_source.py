"""Topic `samples` up to an offset: what a replay learns from, and the same whenever it is read."""

from collections.abc import Callable, Iterator

from learner.source import Samples
from learner.urgent_state import Row


class BoundedSource:
    """Samples before `until`; `on_read` is called with the next offset after each read."""

    def __init__(self, samples: Samples, *, until: int, on_read: Callable[[int], None]) -> None:
        self._samples, self._until, self._on_read = samples, until, on_read
        self._past = False

    @property
    def ended(self) -> bool:
        """Whether the last of them has been read."""
        return self._past or self._samples.ended

    @property
    def warning(self) -> str:
        """What the broker last said, else empty."""
        return self._samples.warning

    def seek(self, offset: int) -> None:
        """Read on from an offset."""
        self._past = offset >= self._until
        self._samples.seek(offset)

    def bounds(self) -> tuple[int, int]:
        """Where the log begins, and where this ends."""
        begin, end = self._samples.bounds()
        return begin, min(end, self._until)

    def read(self, timeout_s: float) -> Iterator[Row]:
        """The next samples; none beyond the end."""
        for offset, sample in self._samples.read(timeout_s):
            self._past |= offset + 1 >= self._until
            if offset < self._until:
                yield offset, sample
            self._on_read(min(offset + 1, self._until))

    def commit(self, offset: int) -> None:
        """Nobody watches a replay's lag: `on_read` is."""

    def close(self) -> None:
        """Leave the topic."""
        self._samples.close()
