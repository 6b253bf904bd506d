"""The ranker's inputs recomputed from the log: what a request would have read, by the stack's own fold, in memory."""

from collections.abc import Iterable, Sequence
from functools import cached_property

import numpy as np
from msgspec import structs

from headrace.lang.events.api_events import EventColumns
from headrace.lang.events.computed import Computation
from headrace.lang.expressions.per_event import Event as Fields
from headrace.lang.plan.plan import Plan
from headrace.models.array_types import Floats
from headrace.schemas.catalogue import Item
from headrace.schemas.events import Event
from headrace.schemas.model.ranker_inputs import SHIPPED, Inputs
from headrace.serving.stages.hydrate import Hydrator
from headrace.serving.stages.score import inputs
from headrace.serving.state import catalogue as catalogues
from headrace.serving.state import item_features
from headrace.serving.state.columns import Columns
from headrace.serving.state.query import Candidates, Faults, Query, ids_of
from headrace.serving.state.state import ServingState, state_of
from headrace.store.memory_store import MemoryStore


class OfflineFeatures:
    """Folds the events of the API, and computes the values that serving would have computed at any point of the log.

    Attributes:
        plan: the groups over the source of events; serving reads no others.
        items: the catalogue by id; `add_events` stamps events with their columns.
        memory: the store.
    """

    def __init__(self, plan: Plan, items: Iterable[Item], inputs: Inputs = SHIPPED) -> None:
        self.plan = plan.for_events()
        self.items = {item.item_id: item for item in items}
        self.memory = MemoryStore(self.plan)
        source = self.plan.event_source
        self._event_columns, self._complete = EventColumns(source), Computation(source).fill
        self._stamped = [column.name for stamp in source.stamps for column in stamp.columns if stamp.stream is None]
        self._columns = Columns(inputs)
        self._hydrator = Hydrator(inputs)

    @cached_property
    def state(self) -> ServingState:
        """Serving's state with these items, without features or models."""
        catalogue = catalogues.build([catalogues.entry_of(item) for item in self.items.values()])
        blank = self._columns.blank(len(catalogue))
        features = item_features.build(catalogue, blank, version={}, read_at=0, columns=self._columns)
        return state_of(self.plan, catalogue, features)

    def fold(self, event: Fields) -> None:
        """Fold one event as ingest wrote it."""
        self.memory.add(event)

    def add_events(self, events: Iterable[Event]) -> None:
        """Fold events as clients send them, after stamping and completing them as ingest would."""
        for event in events:
            item = self.items[event.item_id or ""]
            stamped = {name: getattr(item, name) for name in self._stamped}
            self.fold(self._complete({**self._event_columns.of(event), **stamped}))

    def clear_cache(self) -> None:
        """Drop the values that serving would have cached for some seconds."""
        self._hydrator = Hydrator(self._columns.inputs)

    def hydrate(self, query: Query) -> Query:
        """The query with its user's features as of the folded events."""
        return structs.replace(query, user=self._hydrator.hydrate(query, self.plan, self.memory, Faults()))

    def dense(self, query: Query, item_ids: Sequence[str]) -> Floats:
        """The ranker's inputs [C, F] for items, as if they were the candidates of a hydrated query."""
        ids, catalogue = ids_of(item_ids), self.state.catalogue
        indexes = catalogue.find(ids)[0]
        candidates = Candidates(ids=ids, found_by=np.zeros(len(ids), np.int64), indexes=indexes)
        rows = self._columns.read_items(self.memory, self.plan, catalogue, indexes=indexes, at_ms=query.at_ms)
        return inputs(query, candidates, self.state, rows)
