"""Stage 6: dense inputs from arrays in memory, then scores by the arm's ranker."""

from collections.abc import Mapping
from typing import TypeVar

import numpy as np
from msgspec import structs

from headrace.models.array_types import Doubles, Floats, Indexes
from headrace.schemas.ids import hash64
from headrace.schemas.model.ranker_inputs import COMPUTED
from headrace.schemas.versions.aliases import LIVE
from headrace.serving.stages.blend import Blend, blend
from headrace.serving.stages.explore import Draws
from headrace.serving.stages.sources import clicked_after, together
from headrace.serving.stages.sources.source import RECENT
from headrace.serving.state import item_features
from headrace.serving.state.catalogue import Catalogue
from headrace.serving.state.columns import Columns, filled
from headrace.serving.state.item_features import heat_of
from headrace.serving.state.query import Candidates, Faults, MemberValues, Neighbours, Query, Scored, Taste, User
from headrace.serving.state.state import ServedModel, ServingState

T = TypeVar("T")
_AFTER, _TOGETHER = clicked_after.NEIGHBOURS, together.NEIGHBOURS
_LIKENESSES = frozenset(
    name for name in COMPUTED if name.startswith(("history.like", "history.words", "history.years"))
)
_WEIGHT = 5.0  # impressions: weight of the user's overall click rate in their click rate for a category
_PRIOR = 0.05  # click rate of an item that has no features


def ranker_of(query: Query, state: ServingState, faults: Faults) -> ServedModel | None:
    """Return the model of the query's arm, or None: for `popular`, and if the model has no version yet.

    In the second case it also records in `faults` what orders the slate instead.
    """
    alias = query.arm.alias
    if alias is None:
        return None
    served = state.models.get(alias)
    if served is None:
        light = _light_of(query, state)
        instead = f"the light ranker of version {light.version}" if light else "popularity"
        faults.note(2, f"no model under alias {alias!r}: ordered by {instead}")
    return served


def _light_of(query: Query, state: ServingState) -> ServedModel | None:
    """Return the live version, whose light ranker replaces a missing model; None for arms without a model."""
    return state.models.get(LIVE) if query.arm.alias is not None else None


def score(
    query: Query,
    candidates: Candidates,
    *,
    draws: Draws,
    state: ServingState,
    ranker: ServedModel | None,
    blend_by: Blend,
) -> Scored:
    """Score the candidates, then the drawn items among them; `blend_by` gives the weights of the ranker's heads.

    The candidates' inputs are computed without the drawn items, which would change the ranks among them: propensities
    are exact only if a slate's order is a function of its request and state.
    """
    everyone = _joined(candidates, draws.candidates) if len(draws.candidates) else candidates
    rows = state.features.gather(everyone.ids)
    dense = inputs(query, everyone, state, rows, apart=len(draws.candidates))
    if ranker is None:
        click, order = _without_ranker(_light_of(query, state), dense, rows, state.features.columns)
    else:
        scores = ranker.model.score(
            hash64(query.user_id),
            query.user.history_ids,
            items=state.catalogue.items(everyone.indexes),
            inputs=dense,
        )
        click, order = scores.click, blend(scores, blend_by, ranker.model.config.heads)
    return Scored(candidates=everyone, score=order, click=click, dense=dense, lift=np.ones(len(everyone)))


def _without_ranker(
    light: ServedModel | None, dense: Floats, rows: Doubles, columns: Columns
) -> tuple[Floats, Floats | Doubles]:
    """Return the score head's probabilities [C] and the scores [C] to sort by: the light ranker's if there is one.

    Otherwise the probability is the item's click rate of seven days, and the score its heat.
    """
    if light:
        click = light.model.score_light(dense)
        return click, click
    return by_popularity(rows, columns)


def by_popularity(rows: Doubles, columns: Columns) -> tuple[Floats, Doubles]:
    """The click rate of seven days and the heat of items, from their features. [C, K] -> [C], [C]."""
    rate = columns.column(rows, columns.inputs.reads.click_rate)
    return filled(rate, _PRIOR).astype(np.float32), heat_of(rows, columns)


def inputs(query: Query, candidates: Candidates, state: ServingState, rows: Doubles, *, apart: int = 0) -> Floats:
    """Dense inputs [C, F]; `rows` [C, K] are the candidates' item features; `apart` as in `models.inputs.Assembler`."""
    catalogue, indexes, columns = state.catalogue, candidates.indexes, state.features.columns
    values = {name: columns.column(rows, name) for name in columns.of_items}
    values["item.age_s"] = np.maximum(query.at_ms - catalogue.born_at[indexes], 0) / 1000
    values["item.price"] = catalogue.price[indexes]
    crosses = _crosses(query.user, candidates, state, rows)
    crosses |= {name: _of_members(each, candidates, catalogue) for name, each in query.user.crosses.items()}
    return columns.assembler.assemble(
        len(candidates),
        user=_declared(query.user.numbers | {"request.count": float(query.count)}, columns.of("user")),
        items=_declared(values, columns.of("item")),
        crosses=_declared(crosses, columns.of("cross")),
        apart=apart,
    )


def _declared(values: Mapping[str, T], names: frozenset[str]) -> dict[str, T]:
    """The values that are inputs; the others are computed for nothing, which costs less than to ask for each."""
    return {name: value for name, value in values.items() if name in names}


def _of_members(values: MemberValues, candidates: Candidates, catalogue: Catalogue) -> Doubles:
    """A number of the user for the category or seller of each candidate. [C]."""
    names, codes = catalogue.owners(values.column)
    by_name = np.array([*(values.by_member.get(name, values.absent) for name in names), np.nan])  # -1: has no seller
    return by_name[codes[candidates.indexes]]


def _crosses(user: User, candidates: Candidates, state: ServingState, rows: Doubles) -> dict[str, Doubles]:
    catalogue = state.catalogue
    codes = catalogue.codes[candidates.indexes]
    count, past = len(catalogue.category_names), _past(user, catalogue)
    tastes = np.zeros((count, len(Taste.__struct_fields__)))
    for name, taste in user.tastes.items():
        code = catalogue.category_code.get(name)
        if code is not None:
            tastes[code] = structs.astuple(taste)
    affinity, skips_1h, skips_24h, imps, clicks = tastes.T
    overall = user.numbers.get("user_engagement.ctr_ever", np.nan)
    columns = state.features.columns
    clicks_ever = columns.column(rows, columns.inputs.reads.clicks)
    total = user.numbers.get("user_category.affinity_total", 0.0)
    return {
        "user_category.affinity": affinity[codes],
        "user_category.affinity_share": affinity[codes] / total if total > 0 else np.zeros(len(codes)),
        "user_category.skips_1h": skips_1h[codes],
        "user_category.skips_24h": skips_24h[codes],
        "user_category_engagement.imps_ever": imps[codes],
        "user_category_engagement.ctr_ever": ((clicks + _WEIGHT * overall) / (imps + _WEIGHT))[codes],
        **_neighbourhoods(user, candidates, clicks_ever),
        "user_price.dearness": _dearness(user, catalogue.price[candidates.indexes]),
        "history.contains": user.has_clicked(candidates.ids).astype(np.float64),
        "history.category_share": np.bincount(catalogue.codes[past], minlength=count)[codes] / max(len(past), 1),
        **(_likenesses(past, catalogue, candidates.indexes) if columns.of("cross") & _LIKENESSES else {}),
    }


def _likenesses(past: Indexes, catalogue: Catalogue, candidates: Indexes) -> dict[str, Doubles]:
    """How alike each candidate is to the whole history, to its newest few items, and to the newest one. [C] each."""
    whole, recent, newest = catalogue.tags.likeness((past, past[:RECENT], past[:1]), candidates)
    words, recent_words = catalogue.words.likeness((past, past[:RECENT]), candidates)
    return {
        "history.likeness": whole,
        "history.likeness_recent": recent,
        "history.likeness_newest": newest,
        "history.words": words,
        "history.words_recent": recent_words,
        "history.years_apart": _years_apart(past, catalogue, candidates),
        "history.years_apart_recent": _years_apart(past[:RECENT], catalogue, candidates),
    }


def _years_apart(past: Indexes, catalogue: Catalogue, candidates: Indexes) -> Doubles:
    """Years between a candidate's and the mean of a history's; NaN if either is unknown. [C]."""
    years = catalogue.year[past]
    known = ~np.isnan(years)
    mean = years[known].mean() if known.any() else np.nan
    return np.abs(catalogue.year[candidates] - mean)


def _dearness(user: User, price: Doubles) -> Doubles:
    """Log of a candidate's price over the average price that the user clicks; NaN if either is unknown. [C]."""
    usual = user.numbers.get("user_price.clicked_avg_30d", np.nan)
    known = (price > 0) & (usual > 0)
    return np.log(price / usual, out=np.full_like(price, np.nan), where=known)


def _neighbourhoods(user: User, candidates: Candidates, clicks: Doubles) -> dict[str, Doubles]:
    """How much each candidate goes with the history, and with its newest item, by each ranking. [C] each."""
    inputs: dict[str, Doubles] = {}
    for ranking in (_AFTER, _TOGETHER):
        whole, newest = _of_neighbours(user.neighbours_by(ranking.feature), candidates)
        inputs[f"{ranking.group}.strength"] = whole
        inputs[f"{ranking.group}.cosine"] = item_features.over_clicks(filled(whole, 0.0), clicks)
        inputs[f"{ranking.group}.cosine_newest"] = item_features.over_clicks(filled(newest, 0.0), clicks)
    return inputs


def _of_neighbours(neighbours: Neighbours, candidates: Candidates) -> tuple[Doubles, Doubles]:
    """The strengths of candidates as neighbours of the history and of its newest item; NaN if not one. [C], [C]."""
    whole, newest = np.full((2, len(candidates)), np.nan)
    if len(neighbours.ids) and len(candidates):
        order = np.argsort(candidates.ids)
        indexes = candidates.ids.searchsorted(neighbours.ids, sorter=order)
        indexes = order[np.minimum(indexes, len(order) - 1)]
        hit = candidates.ids[indexes] == neighbours.ids
        whole[indexes[hit]], newest[indexes[hit]] = neighbours.strength[hit], neighbours.by_newest[hit]
    return whole, newest


def _past(user: User, catalogue: Catalogue) -> Indexes:
    """The catalogue indexes of the history's items, as far as the catalogue still has them."""
    indexes, known = catalogue.find(user.history_ids)
    return indexes[known]


def _joined(first: Candidates, second: Candidates) -> Candidates:
    return Candidates(
        ids=np.concatenate([first.ids, second.ids]),
        found_by=np.concatenate([first.found_by, second.found_by]),
        indexes=np.concatenate([first.indexes, second.indexes]),
    )
