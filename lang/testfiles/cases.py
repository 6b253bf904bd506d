"""Reads the test files of feature groups: their cases, or all errors in them at once."""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import PurePath
from typing import Literal, TypeAlias, cast, get_args

import msgspec
from msgspec import Struct
from yaml import Node, ScalarNode, SequenceNode

from headrace.lang.errors.report import Halt, LangError, Report
from headrace.lang.events.gate import Decision
from headrace.lang.plan.plan import Group, Plan
from headrace.lang.testfiles.event_table import TIME, read_events, time_ms
from headrace.lang.testfiles.yaml_spans import (
    duplicate_keys,
    elements,
    entries,
    find_entry,
    find_node,
    load_yaml,
    span_of,
    text_offset,
)

Check: TypeAlias = Literal["shuffle", "restart_anywhere", "replay_twice"]
Expected: TypeAlias = str | int | float | list[str | list[str | int | float]] | None
SUFFIX = ".test.yaml"
REFUSALS: Mapping[str, Decision] = {
    "late": "late", "duplicates": "duplicate", "future": "future", "missing": "missing", "bots": "bot",
    "out_of_bounds": "out_of_bounds", "taken": "taken",
}  # fmt: skip
"""The name in test files of each reason for which ingest refuses events."""
_FORMAT = "docs/reference/tests.md shows the format"


class Case(Struct, frozen=True, forbid_unknown_fields=True):
    """One test: the given events per source, and the expected values and counts."""

    name: str
    given: dict[str, str]
    expect: tuple[dict[str, Expected], ...]
    check: tuple[Check, ...] = get_args(Check)


def cases_in(files: Mapping[str, str], plan: Plan) -> list[tuple[Group, Case]]:
    """Read the cases of test files given as path to text, each with the group that its file is named after.

    Raises:
        LangError: lists all errors of all files.
    """
    reports = [Report(path, text) for path, text in files.items()]
    found = [pair for report in reports for pair in _pairs(report, plan)]
    if any(report.problems for report in reports):
        raise LangError(problem for report in reports for problem in sorted(report.problems, key=lambda at: at.offset))
    return found


def _pairs(report: Report, plan: Plan) -> Iterator[tuple[Group, Case]]:
    name, groups = PurePath(report.path).name.removesuffix(SUFFIX), {group.name: group for group in plan.groups}
    with suppress(Halt):
        if name not in groups:
            report.unknown("group", name, groups, (0, 1))
        value, tree = load_yaml(report)
        if not isinstance(tree, SequenceNode):
            report.halt("F100", (0, 1), cause=f"{report.path} is not a list of cases", fix=_FORMAT)
        for key in duplicate_keys(tree):
            report.add("F116", span_of(key), cause=f"{key.value} is given twice", fix="keep one of them")
        for part, node in zip(cast("list[object]", value), elements(tree), strict=True):
            with suppress(Halt):
                case = _case(part, node, report)
                _Checker(groups[name], report).check(node)
                yield groups[name], case


def _case(value: object, node: Node, report: Report) -> Case:
    try:
        return msgspec.convert(value, type=Case)
    except msgspec.ValidationError as error:
        cause, _, path = str(error).partition(" - at ")
        wrong = find_node(node, path.strip("`"))
        unknown = re.search("unknown field `(.*)`", cause)
        key = find_entry(wrong, unknown[1]) if unknown else None
        report.halt("F100", span_of(key[0] if key else wrong), cause=f"this is not a valid case: {cause}", fix=_FORMAT)


class _Checker:
    """Checks well-formed cases against their group and its source."""

    def __init__(self, group: Group, report: Report) -> None:
        self._group = group
        self._report = report
        self._features = [feature.name for feature in group.features]

    def check(self, case: Node) -> None:
        for key, part in entries(case):
            if key.value == "given":
                self._check_given(key, part)
            elif key.value == "expect":
                for expectation in elements(part):
                    self._check_expectation(expectation)

    def _check_given(self, given: ScalarNode, tables: Node) -> None:
        name = self._group.source.name
        for key, table in entries(tables):
            if key.value == name and isinstance(table, ScalarNode):
                self._check_table(table)
            elif key.value != name:
                self._unknown("source", key, [name])
        if not entries(tables):
            cause, fix = f"no events are given for source {name}, which {self._group.name} reads", f"write `{name}: |`"
            self._report.add("F100", span_of(given), cause=cause, fix=fix)

    def _check_table(self, table: ScalarNode) -> None:
        try:
            read_events(cast("str", table.value), self._group.source)
        except LangError as error:
            for each in error.problems:
                offset = text_offset(table, each.offset, self._report.text)
                span = span_of(table) if offset is None else (offset, each.length)
                self._report.add(each.code, span, cause=each.cause, fix=each.fix)

    def _check_expectation(self, expectation: Node) -> None:
        words = {cast("str", key.value): value for key, value in entries(expectation)}
        read = words.keys() & {"at", "key"}
        for missing in {"at", "key"} - read if read else ():
            cause = f"a read needs a time and a key, but `{missing}` is missing"
            self._report.add("F100", span_of(expectation), cause=cause, fix='write {at: "12:00:00", key: …, …}')
        if isinstance(at := words.get("at"), ScalarNode):
            try:
                time_ms(cast("str", at.value))
            except (ValueError, OverflowError):
                self._report.add("F140", span_of(at), cause=f"{at.value!r} is not a time", fix=f"write {TIME}")
        for key, value in entries(expectation):
            if read and key.value not in ("at", "key", *self._features):
                self._unknown("feature", key, self._features)
            elif not read and key.value not in REFUSALS:
                self._unknown("count of refused events", key, REFUSALS)
            elif not read and not str(value.value).isdecimal():
                cause = f"{key.value} is {value.value!r}, expected a number of events"
                self._report.add("F140", span_of(value), cause=cause, fix="write a whole number, 0 or more")

    def _unknown(self, noun: str, key: ScalarNode, known: Mapping[str, Decision] | list[str]) -> None:
        with suppress(Halt):
            self._report.unknown(noun, cast("str", key.value), known, span_of(key))
