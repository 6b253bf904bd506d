"""Resolves an expression into a typed tree: sqlglot parses it, this module looks up names and checks types."""

import sys
from collections.abc import Callable, Collection, Mapping
from typing import ClassVar, NoReturn

import sqlglot
from sqlglot import exp
from sqlglot.dialects.duckdb import DuckDB
from sqlglot.errors import TokenError
from sqlglot.expressions.core import Expr as Node

from headrace.lang.errors.report import Report
from headrace.lang.expressions.tree import NUMBERS, Call, Column, ColumnType, Constant, Expr
from headrace.lang.planner.functions import CALLS
from headrace.lang.syntax.lexer import Span
from headrace.lang.syntax.tree import Sql
from headrace.schemas.limits import INT64_MOST

_DIGITS = 40
_PLACEHOLDER = "ØwØ"  # as long as {w}, so that spans stay correct, and an identifier to sqlglot
_COMPARISONS: dict[type[Node], str] = {
    exp.EQ: "=", exp.NEQ: "<>", exp.LT: "<", exp.LTE: "<=", exp.GT: ">", exp.GTE: ">=",
}  # fmt: skip
_ARITHMETIC: dict[type[Node], str] = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Mod: "%"}
_LOGIC: dict[type[Node], str] = {exp.And: "and", exp.Or: "or"}
_TO_DOUBLE: dict[type[Node], str] = {exp.Ln: "ln", exp.Exp: "exp", exp.Sqrt: "sqrt"}
_CHOICES: dict[type[Node], str] = {
    exp.Coalesce: "coalesce", exp.Least: "least", exp.Greatest: "greatest",
}  # fmt: skip
_CLOCKS = (exp.CurrentTimestamp, exp.CurrentDate, exp.CurrentTime, exp.CurrentDatetime, exp.Rand, exp.Uuid)
_CLOCK_NAMES = {"now", "localtimestamp", "localtime", "proctime", "unix_timestamp", "current_row_timestamp"}
FUNCTIONS = ", ".join(("coalesce", "ln", "exp", "sqrt", "abs", "least", "greatest", *CALLS))


class _Expressions(DuckDB):
    """DuckDB's expressions without joins, so that `cross` is a function name."""

    class Tokenizer(DuckDB.Tokenizer):
        """DuckDB's keywords without CROSS."""

        KEYWORDS: ClassVar = {word: kind for word, kind in DuckDB.Tokenizer.KEYWORDS.items() if word != "CROSS"}


class Resolver:
    """Resolves expressions over one set of columns; an error is added to the report and raises Halt."""

    def __init__(
        self,
        report: Report,
        columns: Mapping[str, ColumnType],
        *,
        noun: str = "column",
        over_all: Collection[str] = (),
    ) -> None:
        """`over_all`: the columns whose value over all keys may be read."""
        self._report = report
        self.over_all = over_all
        self._columns = columns
        self._noun = noun
        self._sql = Sql("", 0)
        self._label = ""
        self._rules: dict[type[Node], Callable[[Node], Expr]] = {
            exp.Paren: self._paren,
            exp.Column: self._column,
            exp.Literal: self._literal,
            exp.Boolean: self._truth,
            exp.Null: self._null,
            exp.Neg: self._negation,
            exp.Not: self._not,
            exp.Abs: self._absolute,
            exp.Div: self._division,
            exp.Between: self._between,
            exp.In: self._membership,
            exp.Is: self._is,
            exp.Bracket: self._bracket,
            exp.Case: self._case,
            exp.Anonymous: self._function,
        }

    def resolve(self, sql: Sql, *, label: str = "") -> Expr:
        """The typed tree of `sql`, with `{w}` replaced by `label`."""
        self._sql, self._label = sql, label
        try:
            return self.tree_of(sqlglot.parse_one(sql.text.replace("{w}", _PLACEHOLDER), read=_Expressions))
        except (sqlglot.ParseError, TokenError):
            fix = "write one SQL expression here"
            self.fail("F100", None, cause=f"{sql.text} is not an expression", fix=fix)
        except RecursionError:
            cause = "this expression is nested too deeply"
            self.fail("F100", None, cause=cause, fix="split it into several columns or features")

    def number(self, sql: Sql, *, label: str = "") -> Expr:
        """The typed tree of `sql`, which must be a number."""
        return self._typed(self.resolve(sql, label=label), NUMBERS, None)

    def condition(self, sql: Sql) -> Expr:
        """The typed tree of `sql`, which must be BOOLEAN."""
        return self._typed(self.resolve(sql), ("BOOLEAN",), None)

    def _span(self, node: Node | None) -> Span:
        metas = [part.meta for part in node.walk() if "start" in part.meta] if node is not None else []
        if not metas:
            return self._sql.span
        start, end = min(meta["start"] for meta in metas), max(meta["end"] for meta in metas)
        return self._sql.offset + start, end - start + 1

    def fail(self, code: str, node: Node | None, *, cause: str, fix: str) -> NoReturn:
        """Add an error at a part of the expression, or at all of it for None, and raise Halt."""
        self._report.halt(code, self._span(node), cause=cause, fix=fix)

    def _typed(self, expr: Expr, types: tuple[ColumnType, ...], node: Node | None) -> Expr:
        if expr.type not in types and not _is_null(expr):
            wanted = "a number" if types == NUMBERS else " or ".join(types)
            self.fail("F140", node, cause=f"this is {expr.type}, expected {wanted}", fix=f"give {wanted}")
        return expr

    def tree_of(self, node: Node) -> Expr:
        """The typed tree of a node."""
        kind = type(node)
        if kind in _COMPARISONS:
            return self._comparison(_COMPARISONS[kind], node.args["this"], node.args["expression"], node)
        if kind in _LOGIC:
            parts = (node.args["this"], node.args["expression"])
            return Call(_LOGIC[kind], tuple(self._boolean(part) for part in parts), "BOOLEAN")
        if kind in _ARITHMETIC:
            return self._arithmetic(_ARITHMETIC[kind], node)
        if kind in _TO_DOUBLE:
            return Call(_TO_DOUBLE[kind], (self.number_of(node.args["this"]),), "DOUBLE")
        if kind in _CHOICES:
            parts = [node.args["this"], *node.args["expressions"]]
            return self._choice(_CHOICES[kind], [self.tree_of(part) for part in parts], node)
        rule = self._rules.get(kind)
        if rule is not None:
            return rule(node)
        if isinstance(node, _CLOCKS):
            self._clock(node)
        fix = f"use columns, literals, operators, CASE, IN, BETWEEN, IS NULL, {FUNCTIONS}"
        self.fail("F100", node, cause=f"{node.key} is not supported", fix=fix)

    def number_of(self, node: Node) -> Expr:
        """The typed tree of a node that must be a number."""
        return self._typed(self.tree_of(node), NUMBERS, node)

    def _boolean(self, node: Node) -> Expr:
        return self._typed(self.tree_of(node), ("BOOLEAN",), node)

    def _paren(self, node: Node) -> Expr:
        return self.tree_of(node.args["this"])

    def _column(self, node: Node) -> Expr:
        name = node.name.replace(_PLACEHOLDER, self._label)
        if name not in self._columns or node.args.get("table") is not None:
            self._report.unknown(self._noun, name, self._columns, self._span(node))
        return Column(name, self._columns[name])

    def _literal(self, node: Node) -> Expr:
        if node.is_string:
            return Constant(node.name, "STRING")
        value = int(node.name) if node.is_int and len(node.name) < _DIGITS else float(node.name)
        if value > (INT64_MOST if node.is_int else sys.float_info.max):
            cause, fix = (
                f"{node.name[:_DIGITS]} is too large",
                "use a whole number of at most 64 bits, or a double up to 1.8e308",
            )
            self.fail("F140", node, cause=cause, fix=fix)
        return Constant(value, "BIGINT" if node.is_int else "DOUBLE")

    def _truth(self, node: Node) -> Expr:
        return Constant(bool(node.args["this"]), "BOOLEAN")

    def _null(self, _: Node) -> Expr:
        return Constant(None, "DOUBLE")

    def _negation(self, node: Node) -> Expr:
        operand = self.number_of(node.args["this"])
        return Call("neg", (operand,), _number_type([operand]))

    def _not(self, node: Node) -> Expr:
        return Call("not", (self._boolean(node.args["this"]),), "BOOLEAN")

    def _absolute(self, node: Node) -> Expr:
        operand = self.number_of(node.args["this"])
        return Call("abs", (operand,), _number_type([operand]))

    def _division(self, node: Node) -> Expr:
        return Call("/", (self.number_of(node.args["this"]), self.number_of(node.args["expression"])), "DOUBLE")

    def _arithmetic(self, op: str, node: Node) -> Expr:
        operands = (self.number_of(node.args["this"]), self.number_of(node.args["expression"]))
        kind = _number_type(operands)
        if op == "%" and kind == "DOUBLE":
            self.fail("F140", node, cause="% takes whole numbers, this is DOUBLE", fix="use BIGINT columns")
        return Call(op, operands, kind)

    def _comparison(self, op: str, left: Node, right: Node, node: Node) -> Expr:
        return self._compare(op, self.tree_of(left), self.tree_of(right), node)

    def _compare(self, op: str, one: Expr, two: Expr, node: Node) -> Expr:
        if _is_null(one) or _is_null(two):
            self.fail("F140", node, cause="a comparison with NULL is never true", fix="use IS NULL")
        if _rank(one.type) != _rank(two.type) or one.type.startswith("MAP"):
            cause = f"cannot compare {one.type} with {two.type}"
            self.fail("F140", node, cause=cause, fix="compare values of one type")
        return Call(op, (one, two), "BOOLEAN")

    def _between(self, node: Node) -> Expr:
        low = self._comparison(">=", node.args["this"], node.args["low"], node)
        return Call("and", (low, self._comparison("<=", node.args["this"], node.args["high"], node)), "BOOLEAN")

    def _membership(self, node: Node) -> Expr:
        subject = self.tree_of(node.args["this"])
        members = [self.tree_of(member) for member in node.args["expressions"]]
        if not all(isinstance(member, Constant) for member in members):
            self.fail("F100", node, cause="IN takes literals", fix="compare columns with = and OR")
        tests = tuple(self._compare("=", subject, member, node) for member in members)
        return tests[0] if len(tests) == 1 else Call("in", (subject, *members), "BOOLEAN")

    def _is(self, node: Node) -> Expr:
        if not isinstance(node.args["expression"], exp.Null):
            self.fail("F100", node, cause="IS takes only NULL", fix="write x IS NULL or x = TRUE")
        return Call("is_null", (self.tree_of(node.args["this"]),), "BOOLEAN")

    def _bracket(self, node: Node) -> Expr:
        holder = self._typed(self.tree_of(node.args["this"]), ("MAP<STRING, STRING>",), node)
        key = self.tree_of(node.args["expressions"][0])
        if not isinstance(key, Constant) or key.type != "STRING":
            self.fail("F140", node, cause="a map key must be a string literal", fix="write context['name']")
        return Call("map_get", (holder, key), "STRING")

    def _case(self, node: Node) -> Expr:
        subject, tests, values = node.args.get("this"), list[Expr](), list[Expr]()
        for branch in node.args["ifs"]:
            test = branch.args["this"]
            tests.append(self._comparison("=", subject, test, branch) if subject else self._boolean(test))
            values.append(self.tree_of(branch.args["true"]))
        default = node.args.get("default")
        values.append(self.tree_of(default) if default else Constant(None, "DOUBLE"))
        chosen = self._choice("case", values, node)
        *results, otherwise = chosen.args
        pairs = (part for pair in zip(tests, results, strict=True) for part in pair)
        return Call("case", (*pairs, otherwise), chosen.type)

    def _choice(self, op: str, options: list[Expr], node: Node) -> Call:
        """One of several values: all of one type, numbers widened, and NULL literals typed to match."""
        typed = [option for option in options if not _is_null(option)]
        if not typed or len({_rank(option.type) for option in typed}) > 1 or typed[0].type.startswith("MAP"):
            cause = f"{op} mixes types: {', '.join(option.type for option in options)}"
            self.fail("F140", node, cause=cause, fix="give all branches the same type, at least one of them not NULL")
        kind = _number_type(typed) if typed[0].type in NUMBERS else typed[0].type
        args = tuple(Constant(None, kind) if _is_null(option) else option for option in options)
        return Call(op, args, kind)

    def _clock(self, node: Node) -> NoReturn:
        cause = "a clock or random value makes replay differ from live"
        self.fail("F106", node, cause=cause, fix="use the event's own columns; OVER sets the time window")

    def _function(self, node: Node) -> Expr:
        name = node.name.lower()
        if name in _CLOCK_NAMES:
            self._clock(node)
        if name not in CALLS:
            self.fail("F101", node, cause=f"unknown function {name!r}", fix=f"use one of {FUNCTIONS}")
        return CALLS[name](self, node.args["expressions"], node)


def _is_null(expr: Expr) -> bool:
    return isinstance(expr, Constant) and expr.value is None


def _rank(kind: ColumnType) -> str:
    return "number" if kind in NUMBERS else kind


def _number_type(operands: "list[Expr] | tuple[Expr, ...]") -> ColumnType:
    return "DOUBLE" if any(operand.type == "DOUBLE" for operand in operands) else "BIGINT"
