"""Topic `samples` up to an offset: the input of a replay, the same at every reading."""

from collections.abc import Callable, Iterator

from headrace.learner.samples.source import Source
from headrace.learner.samples.urgent_state import Row


class BoundedSource:
    """Samples before offset `until`; `on_read` is called with the next offset after each sample."""

    def __init__(self, samples: Source, *, until: int, on_read: Callable[[int], None]) -> None:
        self._samples, self._until, self._on_read = samples, until, on_read
        self._ended = False

    @property
    def ended(self) -> bool:
        """Whether the last sample has been read."""
        return self._ended or self._samples.ended

    @property
    def warning(self) -> str:
        """The broker's last non-fatal error, or empty."""
        return self._samples.warning

    def seek(self, offset: int) -> None:
        """Continue from an offset."""
        self._ended = offset >= self._until
        self._samples.seek(offset)

    def bounds(self) -> tuple[int, int]:
        """Return where the log begins and where this source ends."""
        begin, end = self._samples.bounds()
        return begin, min(end, self._until)

    def read(self, timeout_s: float) -> Iterator[Row]:
        """Yield the next samples before the end."""
        for offset, sample in self._samples.read(timeout_s):
            self._ended |= offset + 1 >= self._until
            if offset < self._until:
                yield offset, sample
            self._on_read(min(offset + 1, self._until))

    def commit(self, offset: int) -> None:
        """Do nothing: a replay's lag is not monitored."""

    def close(self) -> None:
        """Leave the topic."""
        self._samples.close()
