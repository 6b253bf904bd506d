"""Checks the parts that all aggregates share: arguments, FILTER, and feature names."""

from headrace.lang.errors.report import Report
from headrace.lang.expressions.tree import Expr
from headrace.lang.planner.resolve import Resolver
from headrace.lang.syntax.duration import Duration
from headrace.lang.syntax.tree import Argument, Measure, Sql


class CallReader:
    """Reads the parts that all aggregates share; an error is added to the report and raises Halt."""

    def __init__(self, report: Report, resolver: Resolver) -> None:
        self._report = report
        self._resolver = resolver

    def filter(self, measure: Measure) -> Expr | None:
        """The condition of FILTER, or None."""
        return self._resolver.condition(measure.filter) if measure.filter else None

    def arguments(
        self, measure: Measure, *, plain: int, named: tuple[str, ...] = (), optional: tuple[str, ...] = ()
    ) -> list[Sql]:
        """The positional arguments, after a check of their number and of the named ones."""
        values = [argument.value for argument in measure.arguments if argument.name is None]
        found = {_name(argument) for argument in measure.arguments if argument.name is not None}
        if len(values) != plain or found - set(optional) != set(named):
            wanted = ", ".join([*("x" * plain), *(f"{word} => …" for word in named)])
            self._report.halt(
                "F100",
                measure.function.span,
                cause=f"{measure.function.text} does not take these arguments",
                fix=f"write {measure.function.text}({wanted})",
            )
        return values

    def edge(self, measure: Measure) -> bool:
        """Whether the measure has `edge => interpolate`."""
        values = [argument.value for argument in measure.arguments if _name(argument) == "edge"]
        for value in values:
            if value.text != "interpolate":
                cause, fix = f"edge => {value.text} is not supported", "write edge => interpolate, or leave it out"
                self._report.halt("F140", value.span, cause=cause, fix=fix)
        return bool(values)

    def no_window(self, measure: Measure) -> None:
        """Check that there is no OVER."""
        if measure.windows:
            self._report.halt(
                "F100",
                measure.function.span,
                cause=f"{measure.function.text} has no window",
                fix="remove OVER",
            )


def feature_name(alias: str, window: Duration | None) -> str:
    """The feature's name, `{w}` replaced.

    >>> feature_name("clicks_{w}", Duration(3600000, "1h"))
    'clicks_1h'
    """
    return alias.replace("{w}", window.short if window else "")


def stem(alias: str) -> str:
    """The alias without its window, which partials are named after.

    >>> stem("clicks_{w}")
    'clicks'
    """
    return alias.replace("{w}", "").strip("_").replace("__", "_")


def _name(argument: Argument) -> str:
    return argument.name.text.lower() if argument.name else ""
