"""Derived features are the same to the bit whether they are computed over columns or key by key."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.lang.executors.derived import Derivation, add_derived, derivation_of
from headrace.lang.expressions.per_column import derive
from headrace.lang.expressions.per_key import compile_for_key
from headrace.lang.expressions.tree import Call, Column, Constant, Expr
from headrace.lang.plan.plan import Group
from tests.support import serving_states as worlds

cells = st.sampled_from((np.nan, 0.0, -0.0, 1.0, 1e-300, 1e300, -3.5)) | st.floats(-1e6, 1e6)
leaves = st.sampled_from(("a", "b")).map(lambda name: Column(name, "DOUBLE")) | st.sampled_from((None, 0, 7, 0.1)).map(
    lambda value: Constant(value, "DOUBLE")
)
expressions: st.SearchStrategy[Expr] = st.recursive(
    leaves,
    lambda parts: st.tuples(st.sampled_from(("+", "-", "*", "/", "coalesce")), st.tuples(parts, parts)).map(
        lambda call: Call(call[0], call[1], "DOUBLE")
    ),
    max_leaves=12,
)
GROUPS = [group for group in worlds.PLAN.groups if group.derived and derivation_of(group)]


@given(expression=expressions, a=cells, b=cells)
def test_an_expression(expression: Expr, a: float, b: float) -> None:
    function = compile_for_key(expression)
    assert function
    value = np.array([function({"a": a, "b": b})])
    column = derive(expression, {"a": np.array([a]), "b": np.array([b])}, rows=1)
    np.testing.assert_array_equal(value, column)


def test_other_operators_are_left_to_columns() -> None:
    assert (
        compile_for_key(Call("+", (Column("a", "DOUBLE"), Call("ln", (Column("a", "DOUBLE"),), "DOUBLE")), "DOUBLE"))
        is None
    )


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
@given(data=st.data(), keys=st.integers(1, 4))
def test_a_group(group: Group, data: st.DataObject, keys: int) -> None:
    derived = {each.name for each in group.derived}
    base = [name for name in group.dense if name not in derived]
    rows = data.draw(st.lists(st.lists(cells, min_size=keys, max_size=keys), min_size=len(base), max_size=len(base)))
    numbers = {name: np.array(row) for name, row in zip(base, rows, strict=True)}
    few, derivation = dict(numbers), derivation_of(group)
    assert isinstance(derivation, Derivation)
    derivation.add_to(few)
    many = add_derived(group, dict(numbers), keys)
    for name in group.dense:
        np.testing.assert_array_equal(few[name], many[name])
