"""Golden requests: the same 200 draws of users, histories, items and inputs, scored before and after a version."""

import msgspec
import numpy as np

from headrace.models.array_types import Doubles, Ids
from headrace.models.content.vectors import Content
from headrace.models.ranker.config import RankerConfig
from headrace.models.ranker.forward_numpy import Scores
from headrace.models.ranker.items import Items
from headrace.models.ranker.state import ModelState
from headrace.schemas.model.heads import Heads
from headrace.serving.stages.blend import Blend, blend

REQUESTS = 200
BLEND = "blend"
"""The last of the outputs, after those of the heads."""
_CANDIDATES, _HISTORY, _SEED = 5, 5, 14
_MISSING = 0.2
_BLEND = Blend()  # the bounds compare versions: any fixed blend will do


def shifts(before: ModelState, after: ModelState, drawn_from: dict[str, Ids]) -> tuple[Doubles, Doubles]:
    """Mean distances between the outputs of two models (see `outputs`); NaN if an output is not a number.

    Args:
        before: the earlier model, whose input distribution the requests have.
        after: the later model.
        drawn_from: by table, the ids that requests are made of; without any, the default row is used.

    Returns:
        The distances that all changes cause, and those that the tables alone cause, each [H + 1]: dense tensors move
        all scores in each version, which would hide rows under a wrong id.
    """
    rows_alone = msgspec.structs.replace(after, dense=before.dense)
    with np.errstate(all="ignore"):  # values that are not numbers show in the result
        was = outputs(before, before, drawn_from)
        whole, rows = (np.abs(outputs(each, before, drawn_from) - was).mean(axis=0) for each in (after, rows_alone))
    return whole, rows


def scores(model: ModelState) -> Doubles:
    """Outputs of golden requests drawn from all ids and the inputs' own distribution. [200 * 5, H + 1].

    NaN or infinite if the model's parameters are.
    """
    with np.errstate(all="ignore"):
        return outputs(model, model, {name: table.ids[1:] for name, table in model.tables.items()})


def outputs(model: ModelState, inputs_of: ModelState, drawn_from: dict[str, Ids]) -> Doubles:
    """Log-odds of the logistic heads, log(1 + seconds), log of the blend. [200 * 5, H + 1]."""
    generator = np.random.default_rng(_SEED)
    mean, spread = inputs_of.dense["input_mean"], inputs_of.dense["input_spread"]
    found: list[Doubles] = []
    for _ in range(REQUESTS):
        # drawn as shares of the lists, so that the number of draws is the same for every model
        user, *history = (_pick(drawn_from[name], generator.random(count)) for name, count in _PARTS)
        items, categories, past = history
        noise = generator.normal(size=(_CANDIDATES, len(mean))).astype(np.float32)
        candidates = Items(items, categories, _content(model.config, generator))
        scored = model.score(int(user[0]), past, items=candidates, inputs=mean + spread * noise)
        found.append(_transformed(scored, model.config.heads))
    return np.concatenate(found)


def output_names(heads: Heads) -> tuple[str, ...]:
    """The names of the outputs, [H + 1]."""
    return (*heads.names, BLEND)


def _transformed(scored: Scores, heads: Heads) -> Doubles:
    chances = scored.by_head[:, heads.logistic].astype(np.float64).clip(1e-7, 1 - 1e-7)
    seconds = np.log1p(scored.by_head[:, heads.seconds])
    return np.column_stack([np.log(chances / (1 - chances)), seconds, np.log(blend(scored, _BLEND, heads) + 1e-9)])


def _content(config: RankerConfig, generator: np.random.Generator) -> Content | None:
    """Vectors of about length 1, one in five missing; None if no modality is declared."""
    if not config.modalities:
        return None
    widths = [each.width for each in config.modalities]
    missing = generator.random((_CANDIDATES, len(widths))) < _MISSING
    drawn = generator.normal(size=(_CANDIDATES, sum(widths))) / np.sqrt(np.repeat(widths, widths))
    values = np.where(np.repeat(missing, widths, axis=1), 0.0, drawn)
    return Content(values.astype(np.float32), missing)


_PARTS = (("user", 1), ("item", _CANDIDATES), ("category", _CANDIDATES), ("item", _HISTORY))


def _pick(ids: Ids, shares: Doubles) -> Ids:
    return ids[(shares * len(ids)).astype(np.int64)] if len(ids) else np.zeros(len(shares), np.int64)
