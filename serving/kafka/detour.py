"""Whether a worker writes to Kafka or to the spool: no I/O and no clock."""

OVERTAKEN_MS = 5_000
"""Records older than this must not be overtaken: the log clock would run ahead of them. What is younger may be, because
a segment stays open for a second, and the drainer needs a moment."""


class Detour:
    """The way through the spool, which a worker takes from a failed delivery until the spool has caught up."""

    def __init__(self) -> None:
        self._since_ns = 0

    @property
    def taken(self) -> bool:
        """Whether records go to the spool."""
        return self._since_ns > 0

    def take(self, now_ns: int) -> None:
        """Kafka did not accept a record: write to the spool from now on. Call this after the record was put there."""
        self._since_ns = self._since_ns or now_ns

    def look(self, now_ns: int, *, oldest_ms: int | None, drained_ns: int) -> None:
        """Decide again by what the spool holds.

        Args:
            now_ns: a time by which everything that was put into the spool earlier is in the folder.
            oldest_ms: when the oldest record in the folder was written, None if it is empty.
            drained_ns: when the drainer last wrote something to Kafka.
        """
        old = oldest_ms is not None and now_ns // 1_000_000 - oldest_ms > OVERTAKEN_MS
        if not self.taken:
            if old:
                self._since_ns = now_ns
        elif self._since_ns <= now_ns and (oldest_ms is None or (drained_ns > self._since_ns and not old)):
            self._since_ns = 0
