"""Loads a folder of feature files into one plan, with all errors and warnings."""

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from headrace.lang.errors.report import LangError, Problem, Report
from headrace.lang.plan.plan import Group, Plan
from headrace.lang.planner.groups import plan_group
from headrace.lang.planner.sources import plan_sources
from headrace.lang.syntax.parse import parse
from headrace.lang.syntax.tree import GroupTree, SourceTree


class Findings(Struct, frozen=True):
    """The plan of the valid declarations, and all errors and warnings in the order of the files."""

    plan: Plan
    errors: tuple[Problem, ...]
    warnings: tuple[Problem, ...]


def load_plan(folder: Path) -> Plan:
    """Load every `.sql` file below a folder.

    Raises:
        LangError: lists all errors of all files.
    """
    return parse_plan(read_texts(folder))


def read_texts(folder: Path) -> dict[str, str]:
    """Read every `.sql` file below a folder: path to text."""
    paths = sorted(folder.rglob("*.sql"))
    return {path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8") for path in paths}


def parse_plan(files: Mapping[str, str]) -> Plan:
    """Plan feature files given as path to text.

    Raises:
        LangError: lists all errors of all files.
    """
    found = check_files(files)
    if found.errors:
        raise LangError(found.errors)
    return found.plan


def check_files(files: Mapping[str, str]) -> Findings:
    """Plan feature files given as path to text, and collect their errors and warnings."""
    reports = [Report(path, text) for path, text in files.items()]
    trees = [(parse(report), report) for report in reports]
    parsed = ((tree, report) for tree, report in trees if not report.problems)
    sources = plan_sources((tree, report) for tree, report in parsed if isinstance(tree, SourceTree))
    broken = {tree.name.text for tree, _ in trees if isinstance(tree, SourceTree)} - sources.keys()
    groups: dict[str, Group] = {}
    for tree, report in trees:
        if isinstance(tree, GroupTree) and tree.source.text not in broken:
            group = plan_group(tree, sources, report)
            if group is not None and group.name in groups:
                report.add("F116", tree.name.span, cause=f"{group.name} is declared twice", fix="rename one of them")
            elif group is not None:
                groups[group.name] = group
    errors = [problem for report in reports for problem in sorted(report.problems, key=_offset)]
    warnings = [problem for report in reports for problem in sorted(report.warnings, key=_offset)]
    return Findings(Plan(tuple(sources.values()), tuple(groups.values())), tuple(errors), tuple(warnings))


def _offset(problem: Problem) -> int:
    return problem.offset
