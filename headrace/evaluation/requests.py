"""What serving would do with a request at any point of a log: candidates of its sources, with their inputs."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from msgspec import Struct, structs

from headrace.replay.recordings import Visit
from headrace.replay.writer import query_of
from lang.plan.plan import Plan
from models.array_types import Floats, Ids
from models.index_numpy import NumpyIndex
from models.state import ModelState
from schemas.aliases import LIVE
from schemas.catalogue import Item
from schemas.events import Event
from serving.offline.features import CLICKSTREAM, OfflineFeatures
from serving.offline.item_columns import ItemColumns
from serving.stages.filters import keep
from serving.stages.merge import merge
from serving.stages.retrieve import retrieve
from serving.stages.score import inputs
from serving.state.query import Candidates, Faults, Query, User
from serving.state.state import ServedModel


class Found(Struct, frozen=True):
    """A hydrated query and its C candidates with their inputs [C, F] and categories' ids [C]."""

    query: Query
    candidates: Candidates
    inputs: Floats
    categories: Ids


class Requests:
    """Asks at visits of a log, folds what came of them."""

    def __init__(self, plan: Plan, items: Sequence[Item]) -> None:
        self._recomputed = OfflineFeatures(plan, items)
        self._state = self._recomputed.state
        self._own: defaultdict[str, set[str]] = defaultdict(set)  # the store keeps the newest fifty of a month
        self._columns = ItemColumns(plan.for_source(CLICKSTREAM), self._recomputed.memory, self._state.catalogue)

    def show(self, model: ModelState, at_ms: int) -> None:
        """Find the nearest by this version from now on."""
        none = NumpyIndex(np.zeros(0, np.int64), np.zeros((0, model.config.vector), np.float32))
        served = ServedModel(model=model, index=none, applied_at=at_ms).indexed(self._state.catalogue, NumpyIndex)
        self._state = structs.replace(self._state, models={LIVE: served})

    def begin(self, at_ms: int) -> None:
        """A moment: what has happened until now is read."""
        self._state = structs.replace(self._state, features=self._columns.features(at_ms))

    def ask(self, request_id: str, visit: Visit, *, again: bool) -> Found:
        """The candidates for a visit's user; `again`: what they have clicked may come again."""
        own = frozenset[str]() if again else frozenset(self._own[visit.user_id])
        query = self._recomputed.hydrate(structs.replace(query_of(request_id, visit), exclude=own))
        found = merge(retrieve(query, self._state, Faults()))
        filtered = structs.replace(query, user=User.unknown()) if again else query
        candidates, _ = keep(filtered, found, self._state.catalogue)
        rows = self._columns.rows(candidates.indexes, query.at_ms)
        dense = inputs(query, candidates, self._state, rows)
        return Found(query, candidates, dense, self._state.catalogue.categories[candidates.indexes])

    def named(self, place: int) -> tuple[str, str]:
        """(item id, category) of a place in the catalogue."""
        catalogue = self._state.catalogue
        return catalogue.names[place], catalogue.category(place)

    def happen(self, events: Sequence[Event]) -> None:
        """Fold what came of a visit."""
        self._recomputed.happen(events)
        for event in events:
            self._columns.touch(event.item_id or "")
            self._own[event.user_id].add(event.item_id or "")
