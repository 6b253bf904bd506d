"""Laws of every partial column of a tile, and of every aggregate computed from them."""

import math
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.lang.aggregates.cells import CELLS, Cells
from headrace.lang.aggregates.tile_aggregates import TILE_AGGREGATES
from headrace.lang.executors.finish_kernel import CELLS as MOST_CELLS
from headrace.lang.executors.finish_kernel import FUNCTIONS, finish
from headrace.lang.executors.merge_kernel import merge_tiles
from headrace.lang.expressions.tree import Column
from headrace.lang.plan.plan import Partial, PartialOp, TileFunction
from headrace.lang.plan.windows import epoch_ms

OPS = get_args(PartialOp)
HALF_LIFE_MS = 3_600_000
cells = st.one_of(st.just(math.nan), st.integers(-1_000, 1_000).map(float))
times = st.integers(0, 10 * epoch_ms(HALF_LIFE_MS))


def partial(op: PartialOp) -> Partial:
    return Partial("x", op, Column("x", "DOUBLE"), None, HALF_LIFE_MS)


def same(one: float, two: float) -> bool:
    return (math.isnan(one) and math.isnan(two)) or math.isclose(one, two, rel_tol=1e-9, abs_tol=1e-9)


@pytest.mark.parametrize("op", OPS)
@given(a=cells, b=cells, c=cells)
def test_associative_and_commutative(op: PartialOp, a: float, b: float, c: float) -> None:
    combine = CELLS[op].combine
    assert same(combine(combine(a, b), c), combine(a, combine(b, c)))
    assert same(combine(a, b), combine(b, a))


@pytest.mark.parametrize("op", OPS)
@given(a=cells)
def test_empty_is_the_identity(op: PartialOp, a: float) -> None:
    rule = CELLS[op]
    expected = rule.empty if op == "count" and math.isnan(a) else a
    assert same(rule.combine(rule.empty, a), expected)
    assert same(rule.combine(a, rule.empty), expected)


@pytest.mark.parametrize("op", OPS)
@given(values=st.lists(st.tuples(st.integers(-1_000, 1_000).map(float), times), min_size=1), cut=st.integers(0))
def test_merge_of_a_split_is_the_whole(op: PartialOp, values: list[tuple[float, int]], cut: int) -> None:
    rule = CELLS[op]
    lifted = [rule.lift(partial(op), value, time) for value, time in values]
    whole = rule.empty
    for cell in lifted:
        whole = rule.combine(whole, cell)
    split = cut % len(lifted)
    runs = [compiled_merge(rule, part) for part in (lifted[:split], lifted[split:]) if part]
    assert same(compiled_merge(rule, runs), whole)


def compiled_merge(rule: Cells, cells: list[float]) -> float:
    """The cells of as many tiles, merged by the compiled loop."""
    ones = np.ones(len(cells), np.int64)
    tiles = np.zeros(len(cells), np.int64), ones, ones, 3 * np.arange(len(cells))
    values = np.stack([ones, ones, np.array(cells)], axis=1).astype(np.float64)
    table, zero = np.full((1, 1), np.nan), np.zeros(1, np.int64)
    plan = np.array([[1, 0, 10, 0, 0, 0, 1]]), np.array([[2, 0, rule.kernel]])
    merge_tiles(tiles, values.ravel(), plan, ones[:1], (table, zero, zero.copy()))
    return float(table[0, 0])


@pytest.mark.parametrize("function", get_args(TileFunction))
def test_finish_without_rows(function: TileFunction) -> None:
    aggregate = TILE_AGGREGATES[function]
    assert len(aggregate.partials * aggregate.windows) <= MOST_CELLS
    feature = np.array([[FUNCTIONS[function], *[0] * MOST_CELLS]])
    found = finish(np.full((1, 1), np.nan), feature, np.nan)[0, 0]
    assert found == 0 if function in ("count", "decayed_count", "decayed_sum") else math.isnan(found)


@given(time=times, value=st.integers(-1_000, 1_000).map(float), ahead=st.integers(0, epoch_ms(HALF_LIFE_MS)))
def test_a_decayed_cell_scaled_to_t_is_the_value_decayed_by_its_age(time: int, value: float, ahead: int) -> None:
    cell = CELLS["decayed_sum"].lift(partial("decayed_sum"), value, time)
    start = time - time % epoch_ms(HALF_LIFE_MS)
    at = time + ahead
    scaled = cell * 2.0 ** ((start - at) / HALF_LIFE_MS)
    assert math.isclose(scaled, value * 0.5 ** (ahead / HALF_LIFE_MS), rel_tol=1e-9)
