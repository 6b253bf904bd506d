"""Background thread: counts the entities of groups whose header limits them, for `GET /metrics`.

Each count scans the whole keyspace, so a round may take seconds; the pause after it is twenty times as long.
"""

import contextlib
import sys
import threading
import time
import traceback

from headrace.connections.redis_clients import Client, StoreError
from headrace.serving.state.state import Live
from headrace.serving.telemetry.feeder_metrics import FeederMetrics
from headrace.store.redis.usage import measure_usage

_SHORTEST_PAUSE_S = 60.0
_PAUSE = 20.0


class EntityCounts:
    """Counts the entities of the group versions in use."""

    def __init__(self, client: Client, live: Live, metrics: FeederMetrics) -> None:
        self._client = client
        self._live = live
        self._metrics = metrics

    def run(self, stop: threading.Event) -> None:
        """Count until `stop` is set. While the store does not answer, the last counts remain."""
        took_s = 0.0
        while not stop.wait(max(_PAUSE * took_s, _SHORTEST_PAUSE_S)):
            start = time.monotonic()
            try:
                with contextlib.suppress(*StoreError):
                    self.count()
            except Exception:  # an unexpected error: the last counts remain
                traceback.print_exc(file=sys.stderr)
            took_s = time.monotonic() - start

    def count(self) -> None:
        """Count once.

        Raises:
            StoreError: the store did not answer.
        """
        groups = [(group, group.max_entities) for group in self._live.state.plan.groups]
        limited = {group.name: (measure_usage(self._client, group).entities, most) for group, most in groups if most}
        self._metrics.set_entities(limited)
