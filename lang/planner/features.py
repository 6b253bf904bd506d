"""Plans the features of a group: aggregates, sequences, rollups and derived features, with their names."""

from typing import Literal

from headrace.lang.errors.report import Halt, Report
from headrace.lang.expressions.tree import Call, ColumnType, Expr, columns_of, cross_parts
from headrace.lang.plan.families import AggregateRequest
from headrace.lang.plan.plan import OVER_ALL, Derived, Feature, FeatureKind, Rollup, Sequence
from headrace.lang.planner.calls import feature_name
from headrace.lang.planner.measures import MeasurePlanner
from headrace.lang.planner.resolve import Resolver
from headrace.lang.syntax.duration import Duration
from headrace.lang.syntax.lexer import Span
from headrace.lang.syntax.tree import GroupTree, Measure, Name, Ranking


class FeaturePlanner:
    """Plans the features of one group in the order written; after an error it continues with the next feature."""

    def __init__(self, tree: GroupTree, report: Report, entity: tuple[str, ...]) -> None:
        self._tree = tree
        self._report = report
        self.entity = entity
        self._kinds: dict[str, FeatureKind] = {}
        self.wanted: list[AggregateRequest] = []
        self.sequences: list[Sequence] = []
        self.derived: list[Derived] = []
        self.rollups: list[Rollup] = []

    @property
    def features(self) -> tuple[Feature, ...]:
        """Every feature that the group can be read by."""
        return tuple(Feature(name, kind) for name, kind in self._kinds.items())

    @property
    def reach_ms(self) -> int:
        """The longest window of the group, 0 if it has none."""
        reaches = [each.reach_ms for each in self.wanted] + [each.window_ms or 0 for each in self.sequences]
        return max(reaches, default=0)

    @property
    def over_all(self) -> bool:
        """Whether a derived feature compares with the value over all keys."""
        return any(name.startswith(OVER_ALL) for each in self.derived for name in columns_of(each.expression))

    def plan(self, columns: Resolver) -> None:
        """Plan SELECT over these columns, then DERIVE and ROLLUP over its features."""
        measures = MeasurePlanner(self._report, columns)
        for measure in self._tree.measures:
            for window in self._windows(measure.alias, measure.windows):
                self._measure(measures, measure, window)
        self._derive()
        for ranking in self._tree.rankings:
            try:
                self._rank(ranking)
            except Halt:
                continue

    def _measure(self, measures: MeasurePlanner, measure: Measure, window: Duration | None) -> None:
        try:
            planned = measures.plan(measure, window)
            kind: Literal["number", "list"] = "number"
            if isinstance(planned, AggregateRequest):
                self.wanted.append(planned)
            else:
                self._check_first(planned, measure)
                self.sequences.append(planned)
                kind = "list" if planned.function == "last_n" else "number"
            self._name(planned.name, kind, measure.alias)
        except Halt:
            return

    def _derive(self) -> None:
        for derivation in self._tree.derivations:
            for window in self._windows(derivation.alias, derivation.windows):
                numbers: dict[str, ColumnType] = {
                    name: "DOUBLE" for name, kind in self._kinds.items() if kind == "number"
                }
                tiled = [each.name for each in self.wanted]
                resolver = Resolver(self._report, numbers, noun="feature", over_all=tiled)
                try:
                    label = window.short if window else ""
                    expression = resolver.number(derivation.expression, label=label)
                    self._check_numeric(expression, derivation.expression.span)
                    name = feature_name(derivation.alias.text, window)
                    self._name(name, "number", derivation.alias)
                    self.derived.append(Derived(name, expression))
                except Halt:
                    continue

    def _check_first(self, planned: Sequence, measure: Measure) -> None:
        if planned.function == "first" and len(self.entity) > 1:
            cause = f"first would keep a row for every {self.entity[-1]} as long as its {self.entity[0]} is active"
            fix = "group by one column, or use min or last"
            self._report.halt("F104", measure.function.span, cause=cause, fix=fix)

    def _check_numeric(self, expression: Expr, span: Span) -> None:
        if _has_text(expression):
            cause = "a derived feature takes numbers; text is allowed only inside hash_bucket(cross(…), n)"
            self._report.halt("F140", span, cause=cause, fix="write hash_bucket(cross(a, b), 100), or compare numbers")

    def _rank(self, ranking: Ranking) -> None:
        entity, member, by = ranking.entity, ranking.member, ranking.by
        if (entity.text, member.text) != self.entity:
            wanted = f"ROLLUP {self.entity[0]} … top_k({self.entity[-1]}, …)"
            cause = "a rollup ranks the second of two entity columns for each value of the first"
            self._report.halt("F100", entity.span, cause=cause, fix=f"group by two columns and write {wanted}")
        numbers = [name for name, kind in self._kinds.items() if kind == "number"]
        if by.text not in numbers:
            self._report.unknown("feature", by.text, numbers, by.span)
        if ranking.limit < 1:
            self._report.halt("F140", member.span, cause="top_k must keep at least 1 member", fix="write 1 or more")
        self._name(ranking.name.text, "ranking", ranking.name)
        self.rollups.append(Rollup(ranking.name.text, entity.text, member.text, ranking.limit, by.text))

    def _windows(self, alias: Name, windows: tuple[Duration, ...]) -> tuple[Duration | None, ...]:
        if "{w}" in alias.text and not windows:
            cause, fix = f"{alias.text} has {{w}}, but there is no window", "add OVER EACH (…), or remove {w}"
            self._report.add("F100", alias.span, cause=cause, fix=fix)
            return ()
        if "{w}" not in alias.text and len(windows) > 1:
            cause = f"{len(windows)} windows would all be named {alias.text}"
            self._report.add("F116", alias.span, cause=cause, fix=f"write AS {alias.text}_{{w}}")
            return ()
        return windows or (None,)

    def _name(self, name: str, kind: FeatureKind, alias: Name) -> None:
        if name in self._kinds or name in self.entity:
            self._report.halt("F116", alias.span, cause=f"the name {name} is already used", fix="choose another name")
        self._kinds[name] = kind


def _has_text(expr: Expr) -> bool:
    if expr.type == "STRING" or not isinstance(expr, Call):
        return expr.type == "STRING"
    parts = cross_parts(expr.args[0]) if expr.op == "hash_bucket" else expr.args
    return any(_has_text(part) for part in parts)
