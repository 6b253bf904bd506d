"""The functions that the language adds to SQL: from a call as written to a typed tree."""

from collections.abc import Callable, Collection
from itertools import pairwise
from typing import NoReturn, Protocol

from sqlglot import exp
from sqlglot.expressions.core import Expr as Node

from headrace.lang.expressions.hashing import MOST_BUCKETS
from headrace.lang.expressions.per_event import compile_expression
from headrace.lang.expressions.tree import Call, Column, ColumnType, Constant, Expr, columns_of
from headrace.lang.plan.plan import OVER_ALL

_HASHED: tuple[ColumnType, ...] = ("STRING", "BIGINT", "INT")


class Trees(Protocol):
    """The part of the resolver that these functions use."""

    over_all: Collection[str]

    def tree_of(self, node: Node) -> Expr:
        """The typed tree of a node."""
        ...

    def number_of(self, node: Node) -> Expr:
        """The typed tree of a node that must be a number."""
        ...

    def fail(self, code: str, node: Node | None, *, cause: str, fix: str) -> NoReturn:
        """Add an error at a node and raise Halt."""
        ...


def _smooth_ratio(trees: Trees, parts: list[Node], node: Node) -> Expr:
    """(num + prior · strength) / (den + strength)."""
    plain = [part for part in parts if not isinstance(part, exp.Kwarg)]
    named = {part.args["this"].name: part.args["expression"] for part in parts if part not in plain}
    if len(plain) != 2 or set(named) != {"prior", "strength"}:
        cause = "smooth_ratio takes a numerator, a denominator, prior and strength"
        fix = "write smooth_ratio(clicks, imps, prior => 0.05, strength => 20)"
        trees.fail("F100", node, cause=cause, fix=fix)
    numerator, denominator = (trees.number_of(part) for part in plain)
    prior, strength = _prior(trees, named["prior"], (numerator, denominator)), trees.number_of(named["strength"])
    smoothed = Call("+", (numerator, Call("*", (prior, strength), "DOUBLE")), "DOUBLE")
    return Call("/", (smoothed, Call("+", (denominator, strength), "DOUBLE")), "DOUBLE")


def _prior(trees: Trees, node: Node, ratio: tuple[Expr, Expr]) -> Expr:
    """A number, or 'global': the ratio over all keys, 0 if there are no events."""
    if not node.is_string:
        return trees.number_of(node)
    of_all = tuple(Column(OVER_ALL + part.name, "DOUBLE") for part in ratio if isinstance(part, Column))
    known = [OVER_ALL + name for name in trees.over_all]
    if node.name != "global" or len(of_all) < len(ratio) or any(part.name not in known for part in of_all):
        cause = f"prior => {node.sql()} is not valid here: 'global' needs two aggregates that are kept in tiles"
        trees.fail("F140", node, cause=cause, fix="give a number, or use prior => 'global' with two such features")
    return Call("coalesce", (Call("/", of_all, "DOUBLE"), Constant(0.0, "DOUBLE")), "DOUBLE")


def _bucket(trees: Trees, parts: list[Node], node: Node) -> Expr:
    """The number of bounds that the value has reached, as a CASE."""
    fix = "write bucket(price, 10, 50, 100): 0 below 10, 3 from 100 on"
    if len(parts) < 2:
        trees.fail("F100", node, cause="bucket takes a number and its bounds", fix=fix)
    number, bounds = trees.number_of(parts[0]), [trees.number_of(part) for part in parts[1:]]
    values = [None if list(columns_of(bound)) else compile_expression(bound)({}) for bound in bounds]
    reached = [value for value in values if isinstance(value, int | float)]
    if len(reached) < len(bounds) or any(one >= two for one, two in pairwise(reached)):
        trees.fail("F140", node, cause="the bounds of bucket must be literals in ascending order", fix=fix)
    tests = [Call("<", (number, bound), "BOOLEAN") for bound in bounds]
    branches = [part for count, test in enumerate(tests) for part in (test, Constant(count, "BIGINT"))]
    above = (Call(">=", (number, bounds[-1]), "BOOLEAN"), Constant(len(bounds), "BIGINT"))
    return Call("case", (*branches, *above, Constant(None, "BIGINT")), "BIGINT")


def _hash_bucket(trees: Trees, parts: list[Node], node: Node) -> Expr:
    """The bucket, out of n, that a value falls into."""
    count = parts[1] if len(parts) == 2 else None
    buckets = int(count.name) if isinstance(count, exp.Literal) and count.is_int else 0
    if not 1 <= buckets <= MOST_BUCKETS:
        cause = f"hash_bucket takes a value and the number of buckets, a literal from 1 to {MOST_BUCKETS}"
        trees.fail("F100", node, cause=cause, fix="write hash_bucket(category, 1000)")
    value = _hashed(trees, parts[0], "hash_bucket")
    return Call("hash_bucket", (value, Constant(buckets, "BIGINT")), "BIGINT")


def _cross(trees: Trees, parts: list[Node], node: Node) -> Expr:
    """Two or more values joined into one."""
    if len(parts) < 2:
        fix = "write cross(country, category)"
        trees.fail("F100", node, cause="cross takes at least two values", fix=fix)
    return Call("cross", tuple(_hashed(trees, part, "cross") for part in parts), "STRING")


def _hashed(trees: Trees, node: Node, function: str) -> Expr:
    value = trees.tree_of(node)
    if value.type not in _HASHED:
        cause = f"{function} takes a STRING or a whole number, this is {value.type}"
        trees.fail("F140", node, cause=cause, fix="give one of these; put other numbers in buckets: bucket(x, 1, 10)")
    return value


CALLS: dict[str, Callable[[Trees, list[Node], Node], Expr]] = {
    "smooth_ratio": _smooth_ratio,
    "bucket": _bucket,
    "hash_bucket": _hash_bucket,
    "cross": _cross,
}
