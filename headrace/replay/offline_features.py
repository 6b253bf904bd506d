"""The ranker's inputs recomputed from the log: what a request would have read, by the line's own fold in memory."""

from collections.abc import Iterable, Sequence
from typing import cast

import numpy as np
from msgspec import structs

from lang.events.computed import Computation
from lang.expressions.per_event import Event as Fields
from lang.plan.plan import Plan
from models.array_types import Floats
from schemas.catalogue import Item
from schemas.events import Event
from serving.stages.hydrate import Hydrator
from serving.stages.score import inputs
from serving.state import catalogue as catalogues
from serving.state import columns, item_features
from serving.state.query import Candidates, Faults, Query, ids_of
from serving.state.state import ServingState
from store.memory_store import Shelf

CLICKSTREAM = "clickstream"


class Recomputation:
    """Folds events of the clickstream and tells, at any point of the log, what serving would have computed there."""

    def __init__(self, plan: Plan, items: Iterable[Item]) -> None:
        plan = plan.over(CLICKSTREAM)  # serving reads no other stream's groups
        self.items = {item.item_id: item for item in items}
        catalogue = catalogues.build([catalogues.entry_of(item) for item in self.items.values()])
        features = item_features.build(catalogue, columns.blank(len(catalogue)), version={}, swept_at=0)
        self.shelf = Shelf(plan)
        source = plan.source(CLICKSTREAM)
        self._complete = Computation(source).fill
        self._stamped = [column.name for stamp in source.stamps for column in stamp.columns if stamp.stream is None]
        self.state = ServingState(plan=plan, catalogue=catalogue, features=features, models={})
        self._hydrator = Hydrator(self.shelf)
        self._parts = columns.parts_of(plan)

    def fold(self, event: Fields) -> None:
        """Take one event as ingest wrote it."""
        self.shelf.add(event)

    def happen(self, events: Iterable[Event]) -> None:
        """Take events as they are sent: stamped and completed here, as ingest would."""
        for event in events:
            item = self.items[event.item_id or ""]
            stamped = {name: getattr(item, name) for name in self._stamped}
            self.fold(self._complete(cast(Fields, structs.asdict(event) | stamped)))

    def forget(self) -> None:
        """Read anew what serving would have kept for some seconds."""
        self._hydrator = Hydrator(self.shelf)

    def hydrated(self, query: Query) -> Query:
        """The query with its user as of the events folded."""
        return structs.replace(query, user=self._hydrator.hydrate(query, self.state.plan, Faults()))

    def dense(self, query: Query, item_ids: Sequence[str]) -> Floats:
        """Inputs [C, F] of items, as if they were the candidates of a hydrated query."""
        ids, catalogue = ids_of(item_ids), self.state.catalogue
        places = catalogue.find(ids)[0]
        candidates = Candidates(ids=ids, found_by=np.zeros(len(ids), np.int64), places=places)
        rows = columns.of_items(self.shelf, self._parts, catalogue, places=places, at_ms=query.at_ms)
        return inputs(query, candidates, self.state, rows)
