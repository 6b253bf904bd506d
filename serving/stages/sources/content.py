"""Source `content`: items whose tags are like those of what the user clicked last, and that many click."""

import numpy as np

from headrace.models.array_types import Ids
from headrace.schemas.model.ranker_inputs import SHIPPED
from headrace.serving.stages.sources.source import RECENT, Source
from headrace.serving.state.columns import filled
from headrace.serving.state.query import Query
from headrace.serving.state.state import ServingState


def propose(query: Query, state: ServingState, count: int) -> Ids:
    """By falling likeness times the logarithm of their clicks; nothing without tags."""
    catalogue, features = state.catalogue, state.features
    indexes, known = catalogue.find(query.user.history_ids[:RECENT])
    past = indexes[known]
    codes = catalogue.tags.codes[past]
    tagged = features.by_tag.of(catalogue.tags.ids[np.unique(codes[codes >= 0])])
    indexes, known = catalogue.find(tagged)
    tagged, indexes = tagged[known], indexes[known]
    (likeness,) = catalogue.tags.likeness((past,), indexes)
    clicks = filled(features.column(tagged, features.columns.inputs.reads.clicks), 0.0)
    return tagged[np.argsort(-filled(likeness, 0.0) * np.log1p(clicks), kind="stable")[:count]]


def _reason(query: Query, _: int) -> str:
    return "like what this user clicked last"


SOURCE = Source(
    name="content",
    propose=propose,
    quota=30,
    reads=(SHIPPED.reads.history, SHIPPED.reads.clicks),
    based_on="user",
    reason=_reason,
)
