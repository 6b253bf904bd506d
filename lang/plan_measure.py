"""One aggregate of SELECT to the tiles or the rows it wants."""

from typing import NoReturn, get_args

from lang.aggregates import TILE_AGGREGATES
from lang.duration import Duration, duration_of
from lang.errors import Report
from lang.expr import Constant, Expr
from lang.layout import Wanted
from lang.partials import epoch_ms
from lang.plan import Partial, Sequence, SequenceFunction, TileFunction
from lang.resolve import Resolver
from lang.tree import Argument, Measure, Sql
from lang.windows import FEWEST_TILES, MOST_TILES, TILE_SIZES_MS, tile_ms_of

_SEQUENCES: tuple[SequenceFunction, ...] = get_args(SequenceFunction)
_LATER = (
    "variance", "stddev", "approx_distinct", "percentile", "last", "first", "top_k", "decayed_count", "rate_of_change",
)  # fmt: skip
_NOT_KEEPABLE = ("median", "mode", "array_agg", "listagg", "string_agg", "rank", "row_number", "lag", "lead")
_MOST_ROWS = 1_000


class MeasurePlanner:
    """Checks measures against a source's columns; what is wrong is noted and raises Halt."""

    def __init__(self, report: Report, resolver: Resolver) -> None:
        self._report = report
        self._resolver = resolver

    def plan(self, measure: Measure, window: Duration | None) -> Wanted | Sequence:
        """The measure over one of its windows, None where it names none."""
        function = measure.function.text.lower()
        if function in TILE_AGGREGATES:
            if TILE_AGGREGATES[function].decayed:
                return self._decayed(measure, function)
            return self._windowed(measure, function, window)
        if function == "last_n":
            return self._last_n(measure, window)
        if function == "seconds_since_last":
            self._arguments(measure, plain=0)
            self._no_window(measure)
            return Sequence(measure.alias.text, "seconds_since_last", None, self._filter(measure), 1)
        self._unknown(measure)

    def _windowed(self, measure: Measure, function: TileFunction, window: Duration | None) -> Wanted:
        if window is None:
            self._report.halt(
                "F104",
                measure.function.span,
                cause=f"{function} without a window would run forever and never forget",
                fix="add OVER 24h, or use decayed_sum",
            )
        tile_ms = tile_ms_of(window.length_ms)
        if tile_ms is None:
            shortest = TILE_SIZES_MS[0] * FEWEST_TILES // 1_000
            self._report.halt(
                "F108",
                measure.function.span,
                cause=f"no tile size suits a window of {window.label}",
                fix=f"use a window of {shortest}s to {MOST_TILES}d",
            )
        argument, condition = self._counted(measure, function), self._filter(measure)
        name = named(measure.alias.text, window)
        partials = tuple(
            Partial(stem(measure.alias.text), op, argument, condition) for op in TILE_AGGREGATES[function].partials
        )
        return Wanted(name, function, partials, tile_ms, window.length_ms)

    def _filter(self, measure: Measure) -> Expr | None:
        return self._resolver.condition(measure.filter) if measure.filter else None

    def _counted(self, measure: Measure, function: TileFunction) -> Expr | None:
        (argument,) = self._arguments(measure, plain=1)
        if function != "count":
            return self._resolver.number(argument)
        return None if argument.text == "*" else self._resolver.resolve(argument)

    def _decayed(self, measure: Measure, function: TileFunction) -> Wanted:
        self._no_window(measure)
        (argument,) = self._arguments(measure, plain=1, named=("half_life",))
        expression, condition = self._resolver.number(argument), self._filter(measure)
        half_life_ms = self._half_life_ms(measure)
        partials = tuple(
            Partial(stem(measure.alias.text), op, expression, condition, half_life_ms)
            for op in TILE_AGGREGATES[function].partials
        )
        epoch = epoch_ms(half_life_ms)
        return Wanted(measure.alias.text, function, partials, epoch, 2 * epoch, half_life_ms)

    def _half_life_ms(self, measure: Measure) -> int:
        value = next(argument.value for argument in measure.arguments if argument.name is not None)
        written = value.text.strip("'")
        duration = duration_of(written)
        if duration is None or duration.length_ms < 1_000:
            self._report.halt(
                "F140",
                value.span,
                cause=f"half_life => {value.text} is not a duration of a second or more",
                fix="write half_life => '6 hours'",
            )
        return duration.length_ms

    def _last_n(self, measure: Measure, window: Duration | None) -> Sequence:
        argument, count = self._arguments(measure, plain=2)
        expression, limit = self._resolver.resolve(argument), self._resolver.resolve(count)
        if expression.type not in ("STRING", "BIGINT", "INT"):
            self._report.halt(
                "F140",
                argument.span,
                cause=f"last_n keeps text and whole numbers, this is {expression.type}",
                fix="give a STRING or BIGINT column",
            )
        if not isinstance(limit, Constant) or not isinstance(limit.value, int) or not 0 < limit.value <= _MOST_ROWS:
            self._report.halt(
                "F140",
                count.span,
                cause=f"last_n keeps a fixed number of rows, found {count.text}",
                fix=f"give a whole number from 1 to {_MOST_ROWS}",
            )
        name, window_ms = named(measure.alias.text, window), window.length_ms if window else None
        return Sequence(name, "last_n", expression, self._filter(measure), limit.value, window_ms)

    def _arguments(self, measure: Measure, *, plain: int, named: tuple[str, ...] = ()) -> list[Sql]:
        """The plain arguments, after a check of how many there are and which are named."""
        values = [argument.value for argument in measure.arguments if argument.name is None]
        found = {_name(argument) for argument in measure.arguments if argument.name is not None}
        if len(values) != plain or found != set(named):
            wanted = ", ".join([*("x" * plain), *(f"{word} => …" for word in named)])
            self._report.halt(
                "F100",
                measure.function.span,
                cause=f"{measure.function.text} does not take these arguments",
                fix=f"write {measure.function.text}({wanted})",
            )
        return values

    def _no_window(self, measure: Measure) -> None:
        if measure.windows:
            self._report.halt(
                "F100",
                measure.function.span,
                cause=f"{measure.function.text} has no window",
                fix="leave OVER out",
            )

    def _unknown(self, measure: Measure) -> NoReturn:
        name, span = measure.function.text.lower(), measure.function.span
        if name in _LATER:
            self._report.halt("F100", span, cause=f"{name} is not in this cut", fix="leave it out for now")
        if name in _NOT_KEEPABLE:
            fix = "use count, avg, min, max, or last_n for the newest rows"
            self._report.halt("F104", span, cause=f"{name} is not keepable in tiles", fix=fix)
        self._report.unknown("aggregate", name, [*TILE_AGGREGATES, *_SEQUENCES], span)


def named(alias: str, window: Duration | None) -> str:
    """The feature's name, `{w}` replaced.

    >>> named("clicks_{w}", Duration(3600000, "1h"))
    'clicks_1h'
    """
    return alias.replace("{w}", window.label if window else "")


def stem(alias: str) -> str:
    """What a partial is named after: the alias without its window.

    >>> stem("clicks_{w}")
    'clicks'
    """
    return alias.replace("{w}", "").strip("_").replace("__", "_")


def _name(argument: Argument) -> str:
    return argument.name.text.lower() if argument.name else ""
