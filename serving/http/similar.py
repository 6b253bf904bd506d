"""Items looked at after an item in the same session, as far as the catalogue still has them."""

import numpy as np

from headrace.connections.redis_clients import StoreError
from headrace.schemas.http import RankedMember, SimilarAnswer
from headrace.schemas.ids import hash64
from headrace.schemas.times import now_ms
from headrace.serving.http.problems import invalid, unavailable
from headrace.serving.state.state_source import StateSource
from headrace.store.reader import FeatureRequest, FeatureStore

_GROUP, _ROLLUP = "item_coview", "seen_with"
READ = (f"{_GROUP}.{_ROLLUP}",)


class Similar:
    """Reads the neighbours of one item."""

    def __init__(self, reader: FeatureStore, states: StateSource) -> None:
        self._reader = reader
        self._states = states

    def read(self, item: str) -> SimilarAnswer:
        """Items seen with an item, the strongest first.

        Raises:
            ProblemError: the catalogue does not have the item, or the store does not answer.
        """
        state, at_ms = self._states.state, now_ms()
        if not state.find(np.array([hash64(item)]))[1][0]:
            detail = f"The catalogue has no item {item!r}."
            raise invalid(detail, fix="Upsert it with POST /v1/items:batchUpsert.", status=404)
        try:
            (found,) = self._reader.read([FeatureRequest(state.plan.group(_GROUP), [item])], at_ms=at_ms)
        except StoreError as error:
            detail = f"The feature store does not answer ({type(error).__name__})."
            raise unavailable(detail) from error
        ranking = found.rollups[_ROLLUP][0]
        shown = state.find(np.array([hash64(member) for member, _ in ranking], np.int64))[1]
        items = [
            RankedMember(member=member, value=value)
            for (member, value), is_shown in zip(ranking, shown, strict=True)
            if is_shown
        ]
        return SimilarAnswer(item_id=item, version=found.group.version, items=items)
