"""A served slate scored again from its exposure and its model's version, bit for bit."""

import numpy as np
from msgspec import Struct

from headrace.models.array_types import Floats, Indexes
from headrace.models.content.vectors import ContentLayout
from headrace.models.ranker.inputs import FEATURE_SET
from headrace.models.ranker.items import Items
from headrace.models.ranker.state import ModelState
from headrace.schemas.exposures import Exposure, Ranking
from headrace.schemas.ids import hash64
from headrace.serving.stages.blend import Blend, blend
from headrace.serving.state.query import ids_of


class NotReplayable(ValueError):
    """The exposure does not hold what a replay needs; the message says what is missing."""


class ReplayedSlate(Struct, frozen=True):
    """The scores of K slots: `click` [K], the probability of the score head, and `order` [K], what ordered them."""

    click: Floats
    order: Floats


def replay(exposure: Exposure, model: ModelState, *, blend_by: Blend) -> ReplayedSlate:
    """Score the slots of an exposure with the version of the model that ranked it.

    The rows of the other candidates are left empty: a row's product does not depend on other rows, only on the height
    of the matrix and on the row's place in it.

    Raises:
        NotReplayable: no ranker ordered the slate, or the exposure is of another feature set or an earlier release.
    """
    ranking = replayable(exposure, model.config.inputs.feature_set)
    count, rows = ranking.candidates, np.array(ranking.rows, np.int64)
    dense = np.zeros((count, len(model.config.inputs.dense)), np.float32)
    dense[rows] = [np.frombuffer(slot.dense, "<f4") for slot in exposure.slots]
    scores = model.score(
        hash64(exposure.user_id), ids_of(exposure.history), items=_items(exposure, count, rows, model), inputs=dense
    )
    order = blend(scores, blend_by, model.config.heads)[rows] * np.array(ranking.lifts)
    return ReplayedSlate(scores.click[rows], order.astype(np.float32))


def replayable(exposure: Exposure, feature_set: str = FEATURE_SET) -> Ranking:
    """How the slots were ordered; `feature_set`: that of the model.

    Raises:
        NotReplayable: as `replay` does.
    """
    if not exposure.model_version:
        message = f"no model ranked it: arm {exposure.arm}, policy {exposure.policy}, level L{exposure.level}"
        raise NotReplayable(message)
    if exposure.feature_set != feature_set:
        message = f"its inputs are of feature set {exposure.feature_set}, the model has {feature_set}"
        raise NotReplayable(message)
    if exposure.ranking is None:
        message = "it was written by a release that did not log how the slots were ordered"
        raise NotReplayable(message)
    return exposure.ranking


def _items(exposure: Exposure, count: int, rows: Indexes, model: ModelState) -> Items:
    """All candidates, of which only the slots' items are known."""
    ids, categories = np.zeros(count, np.int64), np.zeros(count, np.int64)
    ids[rows] = ids_of([slot.item_id for slot in exposure.slots])
    categories[rows] = ids_of([slot.category for slot in exposure.slots])
    layout = ContentLayout(model.config.modalities)
    if not layout:
        return Items(ids, categories, None)
    packed = [b""] * count
    for row, content in zip(rows.tolist(), exposure.contents, strict=True):
        packed[row] = content
    return Items(ids, categories, layout.unpack(packed))
