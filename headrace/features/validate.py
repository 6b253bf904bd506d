"""`headrace features validate`: report all errors and warnings of feature files at once, without a stack."""

import sys
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from headrace.errors import UsageProblem
from headrace.features.feature_files import findings, inputs_in, misplaced, usable
from headrace.lang.errors.report import Problem
from headrace.lang.plan.plan import Plan
from headrace.lang.planner.load import Findings
from headrace.layout import FEATURES
from headrace.schemas.model.model_file import MODEL_FILE
from headrace.schemas.model.ranker_inputs import Inputs
from headrace.serving.state.feature_reads import missing_in, read_by


class Diagnostic(Struct, frozen=True):
    """A problem in the form that editors read."""

    file: str
    line: int
    column: int
    severity: Literal["error", "warning"]
    code: str
    cause: str
    fix: str


def validate(folder: Path = FEATURES, *, json: bool = False) -> None:
    """Parse, resolve and type-check feature files. Offline; reports all errors at once.

    After that it lists what parts of serving read and no file declares: answers do without it, and say so.

    Args:
        folder: folder of the feature files.
        json: print the problems as JSON.
    """
    found = findings(folder)
    if json:
        problems = [*_diagnostics(found), *_model_file_problems(folder)]
        sys.stdout.buffer.write(msgspec.json.encode(problems) + b"\n")
        sys.exit(any(problem.severity == "error" for problem in problems))
    plan, inputs = usable(found, folder), inputs_in(folder)
    sys.stdout.writelines(f"warning: {warning}\n" for warning in found.warnings)
    warnings = f", {len(found.warnings)} warnings" if found.warnings else ""
    sys.stdout.write(f"{len(plan.sources)} sources, {len(plan.groups)} groups: no problems{warnings}\n")
    sys.stdout.writelines(f"serving lacks: {line}\n" for line in _missing_lines(plan, inputs))


def _missing_lines(plan: Plan, inputs: Inputs) -> list[str]:
    """A line for each part of serving that reads features which the files do not declare."""
    missing = missing_in(plan, read_by(inputs)).features
    lines = [f"{reader} reads {', '.join(names)}" for reader, names in missing.items()]
    return lines + [f"ranker reads {problem}" for problem in misplaced(plan, inputs)]


def _model_file_problems(folder: Path) -> list[Diagnostic]:
    """What is wrong with `model.toml`, as one problem of its first line: the message has the keys."""
    try:
        inputs_in(folder)
    except UsageProblem as error:
        return [Diagnostic(MODEL_FILE, 1, 1, "error", "", str(error), "correct these keys; docs/features.md has them")]
    return []


def _diagnostics(found: Findings) -> list[Diagnostic]:
    errors = [_diagnostic(each, "error") for each in found.errors]
    return errors + [_diagnostic(each, "warning") for each in found.warnings]


def _diagnostic(problem: Problem, severity: Literal["error", "warning"]) -> Diagnostic:
    return Diagnostic(problem.path, problem.line, problem.column, severity, problem.code, problem.cause, problem.fix)
