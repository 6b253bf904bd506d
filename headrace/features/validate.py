"""`headrace features validate`: everything that is to be said of feature files, at once and without a stack."""

import sys
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from headrace.features.feature_files import findings, usable
from headrace.layout import FEATURES
from lang.errors.report import Problem
from lang.planner.load import Findings


class Said(Struct, frozen=True):
    """A problem as an editor wants it."""

    file: str
    line: int
    column: int
    severity: Literal["error", "warning"]
    code: str
    cause: str
    fix: str


def validate(folder: Path = FEATURES, *, json: bool = False) -> None:
    """Parse, resolve and type-check feature files; offline, all errors at once.

    Args:
        folder: the feature files.
        json: print the problems for a program.
    """
    found = findings(folder)
    if json:
        sys.stdout.buffer.write(msgspec.json.encode(list(_said(found))) + b"\n")
        sys.exit(1 if found.errors else 0)
    plan = usable(found, folder)
    sys.stdout.writelines(f"warning: {warning}\n" for warning in found.warnings)
    doubts = f", {len(found.warnings)} warnings" if found.warnings else ""
    sys.stdout.write(f"{len(plan.sources)} sources, {len(plan.groups)} groups: no problems{doubts}\n")


def _said(found: Findings) -> list[Said]:
    return [_row(each, "error") for each in found.errors] + [_row(each, "warning") for each in found.warnings]


def _row(problem: Problem, severity: Literal["error", "warning"]) -> Said:
    return Said(problem.path, problem.line, problem.column, severity, problem.code, problem.cause, problem.fix)
