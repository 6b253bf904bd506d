"""Boosts, the first rule of reranking: scores times the factors of feature groups whose header names a boost."""

import numpy as np
from msgspec import structs

from headrace.models.array_types import Doubles
from headrace.serving.state import columns
from headrace.serving.state.query import Candidates, Scored, User
from headrace.serving.state.state import ServingState


def boost(user: User, scored: Scored, state: ServingState) -> Scored:
    """The same candidates, their scores multiplied; `lift` keeps the factors."""
    lift = factors(user, scored.candidates, state)
    return structs.replace(scored, score=(scored.score * lift).astype(np.float32), lift=lift)


def factors(user: User, candidates: Candidates, state: ServingState) -> Doubles:
    """The candidates' own factors, times those that the user has for their categories and sellers. [C]."""
    lift = columns.filled(state.features.column(candidates.ids, columns.BOOST), 1.0)
    for column, factor in user.boosts.items():
        names, codes = state.catalogue.owners(column)
        by_name = np.array([*(factor.get(name, 1.0) for name in names), 1.0])  # the last for items of no owner, at -1
        lift = lift * by_name[codes[candidates.indexes]]
    return lift
