"""Background thread: how many entities the groups have whose header limits them, for `GET /metrics`.

All of the keyspace is walked through for each, so a round may take seconds; the rest after it is twenty times as long.
"""

import contextlib
import sys
import threading
import time
import traceback

from serving.state.state import Live
from serving.telemetry.metrics import Metrics
from store.connect import Client, StoreError
from store.usage import holding

_LEAST_REST_S = 60.0
_REST = 20.0


class Limits:
    """Counts entities of the versions that answer."""

    def __init__(self, client: Client, live: Live, metrics: Metrics) -> None:
        self._client = client
        self._live = live
        self._metrics = metrics

    def run(self, stop: threading.Event) -> None:
        """Count until told to stop. While the store does not answer, the last numbers stay."""
        took_s = 0.0
        while not stop.wait(max(_REST * took_s, _LEAST_REST_S)):
            start = time.monotonic()
            try:
                with contextlib.suppress(*StoreError):
                    self.count()
            except Exception:  # something in the store that nobody foresaw: the last numbers stay
                traceback.print_exc(file=sys.stderr)
            took_s = time.monotonic() - start

    def count(self) -> None:
        """Count once.

        Raises:
            StoreError: the store did not answer.
        """
        groups = [(group, group.max_entities) for group in self._live.state.plan.groups]
        limited = {group.name: (holding(self._client, group).entities, most) for group, most in groups if most}
        self._metrics.counted(limited)
