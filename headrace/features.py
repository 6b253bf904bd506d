"""`headrace features validate | test | explain | reference`: what needs no stack; the other verbs join in."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import cyclopts
import msgspec

from headrace import versions
from headrace.engine import flink
from headrace.errors import UsageProblem
from headrace.explain import explained
from headrace.jobs import FEATURES
from headrace.layout import REPOSITORY
from headrace.versions import plan_in
from lang.errors import LangError, Problem
from lang.pages import pages
from lang.plan import Group
from lang.testing import Case, read_cases, run_cases

app = cyclopts.App(help="Validate, test, release and read feature groups.")
app.command(versions.app, name="*")
SUFFIX = ".test.yaml"
REFERENCE = REPOSITORY / "docs" / "reference"


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
def run_tests(folder: Path = FEATURES, *, k: str = "", engine: Literal["tiles", "flink"] = "tiles") -> None:
    """Run the test files beside the groups, on the oracle and on an engine.

    Args:
        folder: the feature files.
        k: run only cases whose group or name contains this.
        engine: tiles, in many ways mistreated; or the SQL of the features job, on a Flink in this process.
    """
    begun = time.monotonic()
    chosen = [(group, case) for group, case in _cases(folder) if k in f"{group.name} {case.name}"]
    if not chosen:
        message = f"no case of a *{SUFFIX} file in {folder} contains {k!r}; leave --k out to run all of them"
        raise UsageProblem(message)
    engines = flink(chosen) if engine == "flink" else None
    failed = 0
    for group, case in chosen:
        failures = run_cases(group, [case], engines=engines)
        failed += bool(failures)
        sys.stdout.write(f"{'FAIL' if failures else 'ok  '} {group.name}: {case.name}\n")
        sys.stdout.writelines(f"     {failure}\n" for failure in failures)
    sys.stdout.write(f"{len(chosen) - failed} passed, {failed} failed in {time.monotonic() - begun:.2f} s\n")
    if failed:
        sys.exit(1)


def _cases(folder: Path) -> Iterator[tuple[Group, Case]]:
    plan = plan_in(folder)
    for path in sorted(folder.rglob(f"*{SUFFIX}")):
        group = plan.group(path.name.removesuffix(SUFFIX))
        try:
            cases = read_cases(path.read_text(encoding="utf-8"))
        except msgspec.ValidationError as error:
            message = f"{path} is no list of cases: {error}. Compare features/item_next.test.yaml."
            raise UsageProblem(message) from error
        yield from ((group, case) for case in cases)


@app.command
def explain(feature: str, folder: Path = FEATURES) -> None:
    """Say where a feature of the files comes from: columns, tiles or rows, SQL, keys in the store.

    Args:
        feature: group.feature, or the feature alone where one group has it.
        folder: the feature files.
    """
    sys.stdout.write(explained(plan_in(folder), feature))


@app.command
def reference(folder: Path = REFERENCE) -> None:
    """Write the reference of the feature language from the code, as `make docs` does.

    Args:
        folder: where the pages go; what else lies there is removed.
    """
    wanted = pages()
    folder.mkdir(parents=True, exist_ok=True)
    for stale in {*folder.glob("*.md")} - {folder / name for name in wanted}:
        stale.unlink()
    for name, text in wanted.items():
        (folder / name).write_text(text, encoding="utf-8")
    sys.stdout.write(f"{len(wanted)} pages in {folder}\n")


def _row(problem: Problem) -> dict[str, str | int]:
    return {
        "file": problem.path,
        "line": problem.line,
        "column": problem.column,
        "code": problem.code,
        "cause": problem.cause,
        "fix": problem.fix,
    }
