"""Plans an aggregate of SELECT that is computed from rows: the newest, the oldest, or distinct values."""

from typing import Literal, NoReturn

from headrace.lang.aggregates.hyperloglog import MOST_CELLS
from headrace.lang.errors.report import Report
from headrace.lang.expressions.tree import Constant, Expr
from headrace.lang.plan.plan import Sequence, SequenceFunction
from headrace.lang.planner.calls import CallReader, feature_name
from headrace.lang.planner.resolve import Resolver
from headrace.lang.syntax.duration import Duration
from headrace.lang.syntax.tree import Measure, Sql

ROW_AGGREGATES = ("last_n", "last", "first", "approx_distinct", "percentile", "seconds_since_last")
_MOST_ROWS = 1_000


class RowPlanner:
    """Checks measures against a source's columns; an error is added to the report and raises Halt."""

    def __init__(self, report: Report, resolver: Resolver) -> None:
        self._report = report
        self._resolver = resolver
        self._call = CallReader(report, resolver)

    def plan(self, measure: Measure, function: str, window: Duration | None) -> Sequence:
        """Plan one of ROW_AGGREGATES over one of its windows, or None if it has no window."""
        if function == "last_n":
            return self._last_n(measure, window)
        if function == "last" or function == "first":
            return self._end(measure, function, window)
        if function == "approx_distinct":
            return self._values(measure, function, window, limit=MOST_CELLS)
        if function == "percentile":
            return self._percentile(measure, window)
        self._call.arguments(measure, plain=0)
        self._call.no_window(measure)
        return Sequence(measure.alias.text, "seconds_since_last", None, self._call.filter(measure), 1)

    def distinct(self, measure: Measure, function: str, window: Duration | None) -> Sequence:
        """Plan an aggregate of DISTINCT values."""
        if function != "count":
            cause = f"{function}(DISTINCT …) cannot be kept: only counts of distinct values can"
            self._report.halt("F104", measure.function.span, cause=cause, fix="write count(DISTINCT x)")
        return self._values(measure, "count_distinct", window, limit=_MOST_ROWS)

    def _values(self, measure: Measure, function: SequenceFunction, window: Duration | None, *, limit: int) -> Sequence:
        """Distinct values within a window."""
        window = self._window(measure, window)
        (argument,) = self._call.arguments(measure, plain=1)
        expression, condition = self._keepable(argument, measure.function.text), self._call.filter(measure)
        return Sequence(
            feature_name(measure.alias.text, window), function, expression, condition, limit, window.length_ms
        )

    def _percentile(self, measure: Measure, window: Duration | None) -> Sequence:
        window = self._window(measure, window)
        argument, share = self._call.arguments(measure, plain=2)
        expression, quantile = self._resolver.number(argument), self._resolver.resolve(share)
        if not isinstance(quantile, Constant) or not isinstance(quantile.value, int | float):
            self._no_quantile(share)
        if not 0 <= quantile.value <= 1:
            self._no_quantile(share)
        name, condition = feature_name(measure.alias.text, window), self._call.filter(measure)
        shape = (_MOST_ROWS, window.length_ms, float(quantile.value))
        return Sequence(name, "percentile", expression, condition, *shape)

    def _no_quantile(self, share: Sql) -> NoReturn:
        cause = f"percentile takes a share from 0 to 1, found {share.text}"
        self._report.halt("F140", share.span, cause=cause, fix="write percentile(value, 0.9)")

    def _window(self, measure: Measure, window: Duration | None) -> Duration:
        if window is None:
            cause = f"{measure.function.text} needs a window: without one it would keep every value for ever"
            self._report.halt("F104", measure.function.span, cause=cause, fix="add OVER 24h, or OVER lifetime")
        return window

    def _end(self, measure: Measure, function: Literal["last", "first"], window: Duration | None) -> Sequence:
        (argument,) = self._call.arguments(measure, plain=1)
        expression = self._resolver.number(argument)
        if function == "first" and window is not None:
            cause = "first takes no window: as the window moves the first event changes, so all rows would be kept"
            self._report.halt("F104", measure.function.span, cause=cause, fix="remove OVER, or use min")
        window_ms = window.length_ms if window else None
        return Sequence(
            feature_name(measure.alias.text, window), function, expression, self._call.filter(measure), 1, window_ms
        )

    def _keepable(self, argument: Sql, function: str) -> Expr:
        """Resolve a value that a row keeps as text."""
        expression = self._resolver.resolve(argument)
        if expression.type not in ("STRING", "BIGINT", "INT"):
            self._report.halt(
                "F140",
                argument.span,
                cause=f"{function} takes text or whole numbers, this is {expression.type}",
                fix="give a STRING or BIGINT column",
            )
        return expression

    def _last_n(self, measure: Measure, window: Duration | None) -> Sequence:
        argument, count = self._call.arguments(measure, plain=2)
        expression, limit = self._keepable(argument, "last_n"), self._resolver.resolve(count)
        if not isinstance(limit, Constant) or not isinstance(limit.value, int) or not 0 < limit.value <= _MOST_ROWS:
            self._report.halt(
                "F140",
                count.span,
                cause=f"last_n keeps a fixed number of rows, found {count.text}",
                fix=f"give a whole number from 1 to {_MOST_ROWS}",
            )
        name, window_ms = feature_name(measure.alias.text, window), window.length_ms if window else None
        return Sequence(name, "last_n", expression, self._call.filter(measure), limit.value, window_ms)
