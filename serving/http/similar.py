"""Items looked at after an item in the same session, as far as the catalogue still has them."""

import numpy as np

from headrace.connections.redis_clients import StoreError
from headrace.models.array_types import Ids
from headrace.schemas.http import Degraded, RankedMember, SimilarAnswer
from headrace.schemas.ids import hash64
from headrace.schemas.model.ranker_inputs import SHIPPED
from headrace.schemas.times import now_ms
from headrace.schemas.versions.aliases import LIVE
from headrace.serving.http.problems import invalid, unavailable
from headrace.serving.state.state import ServingState
from headrace.serving.state.state_source import StateSource
from headrace.store.redis.reader import FeatureRequest, FeatureStore

_NEAREST = 30


class Similar:
    """Reads the neighbours of one item."""

    def __init__(self, reader: FeatureStore, states: StateSource, feature: str = SHIPPED.reads.similar) -> None:
        self._group, _, self._rollup = feature.partition(".")
        self._reader = reader
        self._states = states

    def read(self, item: str) -> SimilarAnswer:
        """Items seen with an item, the strongest first; without their group the nearest ones of the live model.

        Raises:
            ProblemError: the catalogue does not have the item, or the store does not answer.
        """
        state, at_ms = self._states.state, now_ms()
        ids = np.array([hash64(item)])
        if not state.find(ids)[1][0]:
            detail = f"The catalogue has no item {item!r}."
            raise invalid(detail, fix="Upsert it with POST /v1/items:batchUpsert.", status=404)
        group = state.plan.find(self._group)
        if group is None or not any(rollup.name == self._rollup for rollup in group.rollups):
            return _nearest(item, ids, state, f"{self._group}.{self._rollup}".strip("."))
        try:
            (found,) = self._reader.read([FeatureRequest(group, [item])], at_ms=at_ms)
        except StoreError as error:
            detail = f"The feature store does not answer ({type(error).__name__})."
            raise unavailable(detail) from error
        ranking = found.rollups[self._rollup][0]
        shown = state.find(np.array([hash64(member) for member, _ in ranking], np.int64))[1]
        items = [
            RankedMember(member=member, value=value)
            for (member, value), is_shown in zip(ranking, shown, strict=True)
            if is_shown
        ]
        return SimilarAnswer(item_id=item, version=found.group.version, items=items)


def _nearest(item: str, ids: Ids, state: ServingState, feature: str) -> SimilarAnswer:
    """The items whose vectors are nearest to the item's under the live model; none without one."""
    live = state.models.get(LIVE)
    at = np.flatnonzero(live.index.ids == ids[0]) if live else ids[:0]
    if live is None or not len(at):
        lacks = feature or "a group of similar items"
        reason = f"{lacks} is not declared, and no model has a vector of the item"
        return SimilarAnswer(item_id=item, version=0, items=[], degraded=Degraded(level=5, reasons=[reason]))
    indexes, products = live.index.search(live.index.vectors[at[0]], _NEAREST + 1)
    found, shown = state.find(live.index.ids[indexes])
    known = zip(map(int, found), shown.tolist(), strict=True)
    names = [state.catalogue.names[index] if is_shown else item for index, is_shown in known]
    ranked = zip(names, products.tolist(), strict=True)
    items = [RankedMember(member=name, value=product) for name, product in ranked if name != item]
    if not feature:  # the project says that it has none
        return SimilarAnswer(item_id=item, version=0, items=items)
    reason = f"{feature} is not declared: these are the nearest items of model {live.version}"
    return SimilarAnswer(item_id=item, version=0, items=items, degraded=Degraded(level=1, reasons=[reason]))
