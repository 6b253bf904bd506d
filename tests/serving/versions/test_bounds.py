"""What a version may change: every head and the blend, by absolute limits first, then by what is usual."""

import functools
from collections.abc import Callable

import numpy as np
import pytest
from msgspec import structs

from headrace.models.ranker.config import RankerConfig
from headrace.models.ranker.state import ModelState
from headrace.schemas.model.heads import SHIPPED_HEADS
from headrace.schemas.versions.delta import Delta, Update, decode_chunks
from headrace.serving.stages.blend import Blend
from headrace.serving.versions import golden_requests
from headrace.serving.versions.bounds import Bounds, OutOfBounds
from headrace.serving.versions.golden_requests import output_names
from tests.support import version_messages as chains
from tests.support.heads import by_head


@functools.cache
def deltas() -> list[Delta]:
    return [Delta(cut.manifest, cut.hash, decode_chunks(cut.chunks)) for cut in chains.made().versions]


def judged(versions: list[Delta]) -> tuple[ModelState, ModelState]:
    """The last two models of versions that are all within bounds, from the first on."""
    bounds, before, after = Bounds(), ModelState.empty(RankerConfig()), ModelState.empty(RankerConfig())
    for delta in versions:
        before, after = after, after.apply(delta)
        bounds.check(before, delta, after)
    return before, after


def dense(delta: Delta, **changes: Callable[[np.ndarray], np.ndarray]) -> Delta:
    changed = {name: change(delta.update.dense[name]) for name, change in changes.items()}
    return structs.replace(delta, update=Update(delta.update.tables, delta.update.dense | changed))


def broken(head: str) -> Callable[[Delta], Delta]:
    """A head whose bias is 11 too high, with noise in its linear part."""
    index, noise = SHIPPED_HEADS.names.index(head), np.random.default_rng(0)

    def of(delta: Delta) -> Delta:
        def bias(values: np.ndarray) -> np.ndarray:
            return values + 11 * (np.arange(len(SHIPPED_HEADS.names)) == index).astype(np.float32)

        def wide(values: np.ndarray) -> np.ndarray:
            return values + (noise.normal(0, 1, values.shape) * (np.arange(len(SHIPPED_HEADS.names)) == index)).astype(
                np.float32
            )

        return dense(delta, head_bias=bias, wide=wide)

    return of


@pytest.mark.parametrize("head", SHIPPED_HEADS.names)
@pytest.mark.parametrize("at", [0, 1, 12])
def test_a_broken_head_is_refused_first_early_or_late(head: str, at: int) -> None:
    versions = deltas()
    judged(versions[: at + 1])
    with pytest.raises(OutOfBounds, match=rf"{head}|blend"):
        judged([*versions[:at], broken(head)(versions[at])])


def test_no_stay_however_long_outweighs_a_click() -> None:
    _, model = judged(deltas()[:12])
    names, outputs = output_names(model.config.heads), golden_requests.scores(model)
    bias = model.dense["head_bias"] + by_head(engagement=50)
    lifted = golden_requests.scores(structs.replace(model, dense=model.dense | {"head_bias": bias}))
    assert lifted[:, names.index("engagement")].max() <= np.log1p(3600) + 1e-6
    blend = names.index("blend")
    gain = np.exp(lifted[:, blend]) - np.exp(outputs[:, blend])
    assert gain.max() <= 0.1 * Blend().most_s / 100 + 1e-6


def test_versions_that_change_nothing_make_nothing_usual() -> None:
    """An operator's empty versions, or an older learner's: the first that learns is judged by what is plausible."""
    versions, bounds = deltas(), Bounds()
    before = ModelState.empty(RankerConfig()).apply(versions[0])
    nothing = Update({}, {})
    for seq in range(2, 14):
        manifest = structs.replace(versions[1].manifest, seq=seq)
        empty = Delta(manifest, "h", nothing)
        bounds.check(before, empty, before.apply(empty))
    learnt = structs.replace(versions[1], manifest=structs.replace(versions[1].manifest, seq=14))
    bounds.check(before, learnt, before.apply(learnt))


def test_a_version_of_more_samples_may_move_further() -> None:
    """After a silence, or behind a backlog, one cadence holds many: ten times the samples, ten times the way."""
    versions = deltas()
    judged(versions[:12])
    _, before = judged(versions[:12])
    usual = np.median([delta.manifest.stats["samples"] for delta in versions[1:12]])
    far = dense(versions[12], head_bias=lambda values: values + np.float32(2.0))
    with pytest.raises(OutOfBounds, match="moves"):
        judged([*versions[:12], far])
    stats = {**far.manifest.stats, "samples": 50 * usual}
    judged([*versions[:12], structs.replace(far, manifest=structs.replace(far.manifest, stats=stats))])
    assert before.version == versions[11].manifest.version


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_change_that_is_no_number_is_refused_and_not_remembered(value: float) -> None:
    """Of a few rows: the golden requests over all ids may miss them."""
    versions = deltas()
    table = versions[12].update.tables["user"]
    spoilt = structs.replace(table, ids=table.ids[:2], rows=np.full_like(table.rows[:2], value))
    with pytest.raises(OutOfBounds):
        judged([*versions[:12], structs.replace(versions[12], update=Update({"user": spoilt}, {}))])


def users_moved(delta: Delta, *, kept: int) -> Delta:
    """A version of only the first users it has, whose rows move far."""
    table = delta.update.tables["user"]
    moved = structs.replace(table, ids=table.ids[:kept], rows=table.rows[:kept] + np.float32(1.0))
    return structs.replace(delta, update=Update({"user": moved}, {}))


def test_a_few_rows_may_move_far_and_many_may_not() -> None:
    """A cadence of a few urgent samples and nothing else: their rows move far, and nobody else's."""
    versions = deltas()
    judged([*versions[:12], users_moved(versions[12], kept=3)])
    with pytest.raises(OutOfBounds, match="of the tables alone"):
        judged([*versions[:12], users_moved(versions[12], kept=10_000)])
