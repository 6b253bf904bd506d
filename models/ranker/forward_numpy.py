"""Scores one user's candidates in numpy; what depends only on the user is computed once.

The same function as `forward_torch.forward`, without position; a test compares the two. numpy, because at this size
a torch operation's overhead exceeds its work.
"""

from collections.abc import Mapping

import numpy as np
from msgspec import Struct

from headrace.models.array_types import Floats, Ids
from headrace.models.content.vectors import Content, ContentLayout
from headrace.models.ranker.config import INPUT_LIMIT, LONGEST, UNIT_S, RankerConfig
from headrace.models.ranker.fusion_numpy import apply_fusion
from headrace.models.ranker.items import Items
from headrace.models.tables.rowset import RowSource
from headrace.schemas.model.heads import SCORE


class Scores(Struct, frozen=True):
    """Predictions for C candidates as if shown at the top, [C, H]: probabilities and expected seconds, by head."""

    by_head: Floats

    @property
    def click(self) -> Floats:
        """Probabilities of the score head, by default of a click, [C]."""
        return self.by_head[:, SCORE]


class RequestRows(Struct, frozen=True):
    """Rows of one request. `user`: [W]; `past`: [n, D], n <= L, newest first; `items`, `categories`: [C, W].

    `content`: the candidates' vectors; None if there are none.
    """

    user: Floats
    past: Floats
    items: Floats
    categories: Floats
    content: Content | None = None


def gather_rows(tables: Mapping[str, RowSource], *, user_id: int, past: Ids, items: Items, lead: int) -> RequestRows:
    """Look up the rows of a request: user (0: unknown), past items [n], n <= L, candidates [C].

    `lead`: the columns of a row before its vector.
    """

    def rows(table: str, ids: Ids) -> Floats:
        return tables[table].rows(tables[table].find(ids))

    return RequestRows(
        user=rows("user", np.array([user_id], np.int64))[0],
        past=rows("item", past)[:, lead:],
        items=rows("item", items.ids),
        categories=rows("category", items.categories),
        content=items.content,
    )


def score(config: RankerConfig, dense: dict[str, Floats], *, part: RequestRows, inputs: Floats) -> Scores:
    """Score C candidates. inputs [C, F]."""
    outputs = _outputs(config, dense, part=part, inputs=inputs)
    seconds = np.float32(UNIT_S) * np.exp(np.minimum(outputs[:, config.heads.seconds], np.float32(LONGEST)))
    return Scores(np.concatenate([_sigmoid(outputs[:, config.heads.logistic]), seconds], axis=1))


def score_light(dense: dict[str, Floats], inputs: Floats) -> Floats:
    """Predict the score head's probabilities with the light ranker, from dense inputs alone. [C, F] -> [C]."""
    return _sigmoid(_standardise(dense, inputs) @ dense["light"] + dense["light_bias"])


def user_vector(dense: dict[str, Floats], user: Floats, *, past: Floats) -> Floats:
    """Return the user's unit vector [V], from a row [W] and past vectors [n, D]."""
    user = user[_lead(dense) :]
    last = past[0] if len(past) else np.zeros(len(user), np.float32)
    joint = np.concatenate([user, _mean(past), last])
    return _unit((joint @ dense["user_vector"] + dense["user_vector_bias"])[None, :])[0]


def item_vectors(dense: dict[str, Floats], items: Floats, *, categories: Floats, lift: Floats | None) -> Floats:
    """Return items' unit vectors, from rows [N, W] and the term of their vectors (`fusion_numpy.lift`). -> [N, V]."""
    lead = _lead(dense)
    joint = np.concatenate([items[:, lead:], categories[:, lead:]], axis=1)
    vectors = joint @ dense["item_vector"] + dense["item_vector_bias"]
    return _unit(vectors if lift is None else vectors + lift)


def _outputs(config: RankerConfig, dense: dict[str, Floats], *, part: RequestRows, inputs: Floats) -> Floats:
    lead = config.lead
    item = part.items[:, lead:]  # [C, D]
    count, dim = item.shape
    attended = _attend(dense, item, past=part.past) if len(part.past) else np.zeros_like(item)
    user, mean = part.user[lead:], _mean(part.past)
    content = part.content or (ContentLayout(config.modalities).blank(count) if config.modalities else None)
    fusion = apply_fusion(config, dense, content=content, user=user, mean=mean)
    pieces = (user, item, part.categories[:, lead:], attended, mean, attended * item, *fusion.pieces)
    start = np.empty((count, len(pieces) * dim + inputs.shape[1]), np.float32)  # [C, X]
    for index, piece in enumerate(pieces):
        start[:, index * dim : (index + 1) * dim] = piece
    inputs = start[:, len(pieces) * dim :] = _standardise(dense, inputs)
    crossed = start
    for layer in range(config.crosses):
        change = crossed @ dense[f"cross_{layer}_down"] @ dense[f"cross_{layer}_up"] + dense[f"cross_{layer}_bias"]
        crossed = crossed + start * change
    deep = np.maximum(start @ dense["mlp_1"] + dense["mlp_1_bias"], 0)
    deep = np.maximum(deep @ dense["mlp_2"] + dense["mlp_2_bias"], 0)
    heads = np.concatenate([crossed, deep], axis=1) @ dense["head"] + dense["head_bias"]
    heads += inputs @ dense["wide"]
    if fusion.heads is not None:
        heads += fusion.heads
    return heads + part.user[:lead] + part.items[:, :lead] + part.categories[:, :lead]


def _lead(dense: dict[str, Floats]) -> int:
    """Columns of a row before its vector: one for each head."""
    return len(dense["head_bias"])


def _standardise(dense: dict[str, Floats], inputs: Floats) -> Floats:
    return ((inputs - dense["input_mean"]) / dense["input_spread"]).clip(-INPUT_LIMIT, INPUT_LIMIT)


def _attend(dense: dict[str, Floats], item: Floats, *, past: Floats) -> Floats:
    """Weight past items for each candidate. item [C, D], past [n, D] -> [C, D]."""
    slots, units = len(past), len(dense["attend_bias"])
    # sum over d of t_d h_d B_da = t @ (h * B): one product of [C, D] with [D, n * A] for all pairs
    both = (past.T[:, :, None] * dense["attend_both"][:, None, :]).reshape(item.shape[1], slots * units)
    unit = item @ both + (past @ dense["attend_past"]).reshape(-1)
    unit = unit.reshape(len(item), slots, units)
    unit += (item @ dense["attend_now"] + dense["attend_bias"])[:, None, :]
    np.maximum(unit, 0, out=unit)
    logits = unit.reshape(-1, units) @ dense["attend_out"]
    logits = logits.reshape(len(item), slots) + dense["attend_slot"][:slots]
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    return shares @ past


def _mean(past: Floats) -> Floats:
    return past.sum(axis=0) / np.float32(max(len(past), 1))


def _unit(vectors: Floats) -> Floats:
    return vectors / np.maximum(np.sqrt(np.square(vectors).sum(axis=1, keepdims=True)), np.float32(1e-12))


def _sigmoid(logits: Floats) -> Floats:
    return np.float32(1) / (np.float32(1) + np.exp(-np.clip(logits, -60, 60)))


def recent_items(history: Ids, slots: int) -> Ids:
    """Return the last items that the ranker reads: at most L, without empty slots."""
    return history[history != 0][:slots]
