"""The request that serving would have answered at any point of a log: candidates of its sources, with their inputs."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from msgspec import Struct, structs

from headrace.lang.plan.plan import Plan
from headrace.models.array_types import Floats, Ids
from headrace.models.index.exact import NumpyIndex
from headrace.models.ranker.state import ModelState
from headrace.replay.recordings import Visit
from headrace.replay.writer import build_query
from headrace.schemas.catalogue import Item
from headrace.schemas.events import Event
from headrace.schemas.model.ranker_inputs import SHIPPED, Inputs
from headrace.schemas.versions.aliases import LIVE
from headrace.serving.offline.features import OfflineFeatures
from headrace.serving.offline.item_columns import ItemColumns
from headrace.serving.stages.filters import keep
from headrace.serving.stages.merge import merge
from headrace.serving.stages.retrieve import retrieve
from headrace.serving.stages.score import inputs
from headrace.serving.state.query import Candidates, Faults, Query, User, ids_of
from headrace.serving.state.state import ServedModel


class HydratedRequest(Struct, frozen=True):
    """A hydrated query and its C candidates with their inputs [C, F] and category ids [C]."""

    query: Query
    candidates: Candidates
    inputs: Floats
    categories: Ids


class Requests:
    """Builds the requests of a log's visits, and folds the visits' events into the features."""

    def __init__(self, plan: Plan, items: Sequence[Item], inputs: Inputs = SHIPPED) -> None:
        self._recomputed = OfflineFeatures(plan, items, inputs)
        self._state = self._recomputed.state
        self._own: defaultdict[str, set[str]] = defaultdict(set)  # the store keeps only the newest fifty of a month
        self._columns = ItemColumns(
            self._recomputed.plan, self._recomputed.memory, self._state.catalogue, self._state.features.columns
        )

    def set_model(self, model: ModelState, at_ms: int) -> None:
        """Use this version for the nearest-neighbour source from now on."""
        empty = NumpyIndex(np.zeros(0, np.int64), np.zeros((0, model.config.vector), np.float32))
        served = ServedModel(model=model, index=empty, applied_at=at_ms).indexed(self._state.catalogue, NumpyIndex)
        self._state = structs.replace(self._state, models={LIVE: served})

    def refresh_features(self, at_ms: int) -> None:
        """Read the item features as of this time."""
        self._state = structs.replace(self._state, features=self._columns.features(at_ms))

    def hydrate(self, request_id: str, visit: Visit, *, allow_repeats: bool) -> HydratedRequest:
        """Find and hydrate the candidates for a visit's user; `allow_repeats` keeps items that the user clicked."""
        query = self._recomputed.hydrate(build_query(request_id, visit))
        own = ids_of([] if allow_repeats else list(self._own[visit.user_id]))
        found = merge(retrieve(query, self._state, Faults(), removed=own))
        filtered = structs.replace(query, user=User.unknown()) if allow_repeats else structs.replace(query, exclude=own)
        candidates, _ = keep(filtered, found, self._state)
        rows = self._columns.rows(candidates.indexes, query.at_ms)
        dense = inputs(query, candidates, self._state, rows)
        return HydratedRequest(query, candidates, dense, self._state.catalogue.categories[candidates.indexes])

    def item_at(self, index: int) -> tuple[str, str]:
        """(item id, category) at an index of the catalogue."""
        catalogue = self._state.catalogue
        return catalogue.names[index], catalogue.category(index)

    def add_events(self, events: Sequence[Event]) -> None:
        """Fold a visit's events into the features."""
        self._recomputed.add_events(events)
        for event in events:
            self._columns.touch(event.item_id or "")
            self._own[event.user_id].add(event.item_id or "")
