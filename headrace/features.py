"""`headrace features validate | test`: what analysts write, looked at without a stack; the other verbs join in."""

import sys
import time
from pathlib import Path

import cyclopts
import msgspec

from headrace import versions
from headrace.errors import UsageProblem
from headrace.jobs import FEATURES
from headrace.versions import plan_in
from lang.errors import LangError, Problem
from lang.testing import read_cases, run_cases

app = cyclopts.App(help="Validate, test, release and read feature groups.")
app.command(versions.app, name="*")
SUFFIX = ".test.yaml"


@app.command
def validate(folder: Path = FEATURES, *, json: bool = False) -> None:
    """Parse, resolve and type-check feature files; offline, all errors at once.

    Args:
        folder: the feature files.
        json: print the problems for a program.
    """
    try:
        plan = plan_in(folder)
    except UsageProblem as problem:
        if not json or not isinstance(problem.__cause__, LangError):
            raise
        rows = [_row(each) for each in problem.__cause__.problems]
        sys.stdout.buffer.write(msgspec.json.encode(rows) + b"\n")
        sys.exit(1)
    sources, groups = len(plan.sources), len(plan.groups)
    sys.stdout.write("[]\n" if json else f"{sources} sources, {groups} groups: no problems\n")


@app.command(name="test")
def run_tests(folder: Path = FEATURES, *, k: str = "") -> None:
    """Run the test files beside the groups, on the oracle and on tiles.

    Args:
        folder: the feature files.
        k: run only cases whose group or name contains this.
    """
    plan = plan_in(folder)
    failed = ran = 0
    begun = time.monotonic()
    for path in sorted(folder.rglob(f"*{SUFFIX}")):
        group = plan.group(path.name.removesuffix(SUFFIX))
        for case in read_cases(path.read_text(encoding="utf-8")):
            if k not in f"{group.name} {case.name}":
                continue
            failures = run_cases(group, [case])
            ran, failed = ran + 1, failed + bool(failures)
            sys.stdout.write(f"{'FAIL' if failures else 'ok  '} {group.name}: {case.name}\n")
            sys.stdout.writelines(f"     {failure}\n" for failure in failures)
    sys.stdout.write(f"{ran - failed} passed, {failed} failed in {time.monotonic() - begun:.2f} s\n")
    if not ran:
        message = f"no case of a *{SUFFIX} file in {folder} contains {k!r}"
        raise UsageProblem(message)
    if failed:
        sys.exit(1)


def _row(problem: Problem) -> dict[str, str | int]:
    return {
        "file": problem.path,
        "line": problem.line,
        "column": problem.column,
        "code": problem.code,
        "cause": problem.cause,
        "fix": problem.fix,
    }
