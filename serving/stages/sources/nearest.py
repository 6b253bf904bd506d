"""Source `nearest`: the items whose vectors are nearest to the user's, under the live model."""

from headrace.models.array_types import Ids
from headrace.schemas.ids import hash64
from headrace.schemas.model.ranker_inputs import SHIPPED
from headrace.schemas.versions.aliases import LIVE
from headrace.serving.stages.sources.source import Source, Unavailable
from headrace.serving.state.query import Query
from headrace.serving.state.state import ServingState


def propose(query: Query, state: ServingState, count: int) -> Ids:
    """Ids of up to `count` items, largest inner product with the user's vector first.

    Items whose `born_at` is later than the request are left out.

    Raises:
        Unavailable: there is no live model.
    """
    live = state.models.get(LIVE)
    if live is None:
        message = f"no model under alias {LIVE!r}"
        raise Unavailable(message)
    vector = live.model.user_vector(hash64(query.user_id), query.user.history_ids)
    allowed = state.catalogue.born_at <= query.at_ms if len(state.catalogue.unborn(query.at_ms)) else None
    indexes, _ = live.index.search(vector, count, allowed=allowed)
    return live.index.ids[indexes]


def _reason(query: Query, _: int) -> str:
    return "close to what this user clicks" if query.user.history else "chosen by the model for a new visitor"


SOURCE = Source(
    name="nearest",
    propose=propose,
    quota=70,
    reads=(SHIPPED.reads.history,),
    based_on="user",
    reason=_reason,
)
