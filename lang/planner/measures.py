"""Plans one aggregate of SELECT: the tiles or rows that it needs."""

from typing import NoReturn

from headrace.lang.aggregates.tile_aggregates import TILE_AGGREGATES
from headrace.lang.errors.report import Report
from headrace.lang.expressions.tree import Expr
from headrace.lang.plan.families import AggregateRequest
from headrace.lang.plan.plan import Partial, Sequence, TileFunction
from headrace.lang.plan.windows import FEWEST_TILES, MOST_TILES, TILE_SIZES_MS, epoch_ms, tile_ms_of
from headrace.lang.planner.calls import CallReader, feature_name, stem
from headrace.lang.planner.resolve import Resolver
from headrace.lang.planner.rows import ROW_AGGREGATES, RowPlanner
from headrace.lang.syntax.duration import LIFETIME, Duration, parse_duration
from headrace.lang.syntax.tree import Measure, Sql

_COUNTING = ("count", "rate_of_change", "decayed_count")
"""These count rows for `*`, else values that are not NULL."""
_NOT_KEEPABLE = ("median", "mode", "array_agg", "listagg", "string_agg", "rank", "row_number", "lag", "lead")


class MeasurePlanner:
    """Checks measures against a source's columns; an error is added to the report and raises Halt."""

    def __init__(self, report: Report, resolver: Resolver) -> None:
        self._report = report
        self._resolver = resolver
        self._call = CallReader(report, resolver)
        self._rows = RowPlanner(report, resolver)

    def plan(self, measure: Measure, window: Duration | None) -> AggregateRequest | Sequence:
        """Plan the measure over one of its windows, or None if it has no window."""
        function = measure.function.text.lower()
        if any(argument.distinct for argument in measure.arguments):
            return self._rows.distinct(measure, function, window)
        if function in TILE_AGGREGATES:
            if TILE_AGGREGATES[function].decayed:
                return self._decayed(measure, function)
            return self._windowed(measure, function, window)
        if function in ROW_AGGREGATES:
            return self._rows.plan(measure, function, window)
        self._unknown(measure)

    def _windowed(self, measure: Measure, function: TileFunction, window: Duration | None) -> AggregateRequest:
        if window is None:
            self._report.halt(
                "F104",
                measure.function.span,
                cause=f"{function} needs a window: without one it would keep every event for ever",
                fix="add OVER 24h or OVER lifetime, or use decayed_sum",
            )
        windows = TILE_AGGREGATES[function].windows
        tile_ms = tile_ms_of(window.length_ms)
        if tile_ms is None or (windows > 1 and window == LIFETIME):
            shortest = TILE_SIZES_MS[0] * FEWEST_TILES // 1_000
            self._report.halt(
                "F108",
                measure.function.span,
                cause=f"no tile size fits a window of {window.short}",
                fix=f"use a window of {shortest}s to {MOST_TILES}d",
            )
        argument, condition = self._counted(measure, function), self._call.filter(measure)
        name = feature_name(measure.alias.text, window)
        partials = tuple(
            Partial(stem(measure.alias.text), op, argument, condition) for op in TILE_AGGREGATES[function].partials
        )
        edge_ms = tile_ms if self._call.edge(measure) else 0
        return AggregateRequest(name, function, partials, tile_ms, window.length_ms, windows=windows, edge_ms=edge_ms)

    def _counted(self, measure: Measure, function: TileFunction) -> Expr | None:
        optional = ("edge",) if TILE_AGGREGATES[function].divisible else ()
        (argument,) = self._call.arguments(measure, plain=1, optional=optional)
        return self._argument(function, argument)

    def _argument(self, function: TileFunction, argument: Sql) -> Expr | None:
        if function not in _COUNTING:
            return self._resolver.number(argument)
        return None if argument.text == "*" else self._resolver.resolve(argument)

    def _decayed(self, measure: Measure, function: TileFunction) -> AggregateRequest:
        self._call.no_window(measure)
        (argument,) = self._call.arguments(measure, plain=1, named=("half_life",))
        expression, condition = self._argument(function, argument), self._call.filter(measure)
        half_life_ms = self._half_life_ms(measure)
        partials = tuple(
            Partial(stem(measure.alias.text), op, expression, condition, half_life_ms)
            for op in TILE_AGGREGATES[function].partials
        )
        epoch = epoch_ms(half_life_ms)
        return AggregateRequest(measure.alias.text, function, partials, epoch, 2 * epoch, half_life_ms)

    def _half_life_ms(self, measure: Measure) -> int:
        value = next(argument.value for argument in measure.arguments if argument.name is not None)
        written = value.text.strip("'")
        duration = parse_duration(written)
        if duration is None or duration.length_ms < 1_000:
            self._report.halt(
                "F140",
                value.span,
                cause=f"half_life => {value.text} is not a duration of a second or more",
                fix="write half_life => '6 hours'",
            )
        return duration.length_ms

    def _unknown(self, measure: Measure) -> NoReturn:
        name, span = measure.function.text.lower(), measure.function.span
        if name == "top_k":
            fix = "GROUP BY two columns, and rank the second: ROLLUP user_id AS …: top_k(category, 10, by => …)"
            self._report.halt("F104", span, cause="top_k ranks the keys of a group; it is not an aggregate", fix=fix)
        if name in _NOT_KEEPABLE:
            fix = "use count, avg, percentile, or last_n for the newest rows"
            self._report.halt("F104", span, cause=f"{name} cannot be kept in tiles", fix=fix)
        self._report.unknown("aggregate", name, [*TILE_AGGREGATES, *ROW_AGGREGATES], span)
