"""Background thread: the feature columns of every catalogue item, as the loader changes them.

All items are read once. After that only what has changed is read: entities that the loader reports (`store.changes`),
new items, and those of which a tile leaves a window. What decays or ages is computed (`items.group_table`). So a
catalogue that nobody looks at costs next to nothing.
"""

import sys
import threading
import traceback
from collections.abc import Callable

import numpy as np

from headrace.connections.redis_clients import StoreError
from headrace.models.array_types import Doubles
from headrace.schemas.times import now_ms
from headrace.serving.items.group_table import GroupTable
from headrace.serving.state import item_features
from headrace.serving.state.catalogue import Catalogue
from headrace.serving.state.columns import Columns
from headrace.serving.state.state import Live
from headrace.serving.telemetry.monitor import Monitor
from headrace.store.redis.changes import ChangeListener
from headrace.store.redis.reader import FeatureRequest, FeatureStore

_POLL_S = 0.2
_EVERY_MS = 1_000  # between two states, if something has changed
_MOVED_MS = 10_000  # if only time has passed: 1 % of a half-life of ten minutes
_REST = 10  # times as long as it takes to make a state, until the next one
_OBSERVED_MS = 10_000  # between two statistics
_RETRY_S = 1.0
_SLICE = 200  # owners per round trip


class FeatureFeed:
    """Keeps the item features of `live` current."""

    def __init__(
        self,
        reader: FeatureStore,
        listener: ChangeListener,
        live: Live,
        monitor: Monitor,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._reader = reader
        self._clock = clock
        self._listener = listener
        self._live = live
        self._monitor = monitor
        self._tables: dict[str, GroupTable] = {}
        self._catalogue: Catalogue | None = None
        self._looked_ms = self._observed_ms = 0
        self._took_ms = 0
        self._reported = False

    def run(self, stop: threading.Event) -> None:
        """Follow until `stop` is set. While the store does not answer, the last columns remain in use."""
        while not stop.is_set():
            if not self._live.progress.catalogue_read:
                stop.wait(_POLL_S)
                continue
            try:
                self.step(_POLL_S)
            except StoreError:
                stop.wait(_RETRY_S)
            except Exception:  # an unexpected error: the columns age, which the metrics report
                traceback.print_exc(file=sys.stderr)
                stop.wait(_RETRY_S)
        self._listener.close()

    def step(self, timeout_s: float) -> None:
        """Take in what has changed, and publish it if it is time to.

        Raises:
            StoreError: the store did not answer; what was to be read is read by the next call.
        """
        self._follow_plan()
        for title, owners in self._listener.poll(timeout_s).items():
            self._tables[title].mark(owners)
            self._reported = True
        begun_ms, catalogue = self._clock(), self._live.state.catalogue
        elapsed_ms, is_new = begun_ms - self._looked_ms, catalogue is not self._catalogue
        pause_ms = max(_EVERY_MS if self._reported or is_new else _MOVED_MS, _REST * self._took_ms)
        if 0 <= elapsed_ms < pause_ms:  # below 0: the machine's clock was set back
            return
        if is_new:
            for table in self._tables.values():
                table.follow(catalogue.owners(table.part.by)[0])
        changed = sum(self._refresh(table) for table in self._tables.values())
        if changed or is_new or any(table.moves for table in self._tables.values()):
            publishing_ms = self._clock()
            self._publish(catalogue)
            self._catalogue = catalogue
            self._took_ms = self._clock() - publishing_ms  # without the reads: the first take long
            self._observe(took_s=(self._clock() - begun_ms) / 1000)
        self._looked_ms, self._reported = self._clock(), False
        self._monitor.checked(self._looked_ms)

    @property
    def _columns(self) -> Columns:
        return self._live.state.features.columns

    def _follow_plan(self) -> None:
        """Have a table for each group that items read, and listen to its changes."""
        parts = self._columns.groups(self._live.state.plan)
        if {part.group.title for part in parts} != self._tables.keys():
            tables = {part.group.title: self._tables.get(part.group.title) or GroupTable(part) for part in parts}
            self._listener.listen(tables)  # before they are kept: if it fails, the next call tries again
            self._tables, self._catalogue = tables, None  # its owners are not known to all tables

    def _observe(self, *, took_s: float) -> None:
        if self._clock() - self._observed_ms >= _OBSERVED_MS:
            self._observed_ms = self._clock()
            self._monitor.observe(self._live.state.features, took_s=took_s)

    def _refresh(self, table: GroupTable) -> int:
        """Read the owners that are due; returns their number."""
        due = table.due(self._clock())
        for begin in range(0, len(due), _SLICE):
            at_ms = self._clock()
            table.advance(at_ms)
            some = FeatureRequest(table.part.group, due[begin : begin + _SLICE])
            (found,) = self._reader.read([some], at_ms=table.at_ms)
            table.put(found, table.at_ms)
        return len(due)

    def _publish(self, catalogue: Catalogue) -> None:
        at_ms, columns = self._clock(), self._columns
        values = columns.blank(len(catalogue))
        for table in self._tables.values():
            table.advance(at_ms)
            columns.fill(values, table.part, _of_items(catalogue, table))
        version = {table.part.group.name: table.part.group.version for table in self._tables.values()}
        self._live.set_features(item_features.build(catalogue, values, version=version, read_at=at_ms, columns=columns))


def _of_items(catalogue: Catalogue, table: GroupTable) -> Doubles:
    """A group's features of each item [N, features], NaN for items without an owner."""
    found = np.concatenate([table.columns(), np.full((1, len(table.part.features)), np.nan)])
    _, codes = catalogue.owners(table.part.by)
    return found[codes]  # rows are in the order of the owners, and a code of -1 is the last one
