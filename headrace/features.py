"""`headrace features`: validate, test and read what analysts write."""

import json
import sys
import time
from pathlib import Path

import cyclopts
import msgspec
import redis

from headrace.errors import UsageProblem
from headrace.jobs import FEATURES
from headrace.layout import Layout
from lang.errors import LangError, Problem
from lang.load import load_plan
from lang.plan import Plan
from lang.testing import read_cases, run_cases
from store.reader import FeatureReader, Values, Wanted

app = cyclopts.App(help="Validate, test and read feature groups.")
SUFFIX = ".test.yaml"


def plan_in(folder: Path) -> Plan:
    """The plan of a folder of feature files.

    Raises:
        UsageProblem: the files have errors; the message holds all of them.
    """
    try:
        return load_plan(folder)
    except LangError as error:
        raise UsageProblem("\n" + str(error)) from error


@app.command
def validate(folder: Path = FEATURES, *, json: bool = False) -> None:
    """Parse, resolve and type-check feature files; offline, all errors at once.

    Args:
        folder: the feature files.
        json: print the problems for a program.
    """
    try:
        plan = load_plan(folder)
    except LangError as error:
        if not json:
            raise UsageProblem("\n" + str(error)) from error
        sys.stdout.buffer.write(msgspec.json.encode([_row(problem) for problem in error.problems]) + b"\n")
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
    if failed or not ran:
        sys.exit(1)


@app.command
def get(group: str, key: str, *, at: int | None = None) -> None:
    """Read the features of one key from the running store.

    Args:
        group: name of the group.
        key: the entity; further key columns after a colon each, e.g. u1:shoes.
        at: read as of this time, ms since 1970 UTC; now if not given.
    """
    plan = plan_in(FEATURES)
    try:
        wanted = plan.group(group)
    except KeyError as error:
        raise UsageProblem(str(error.args[0])) from error
    owner, *members = key.split(":")
    client = redis.Redis.from_url(Layout.here().endpoints().redis_url)
    at_ms = at if at is not None else time.time_ns() // 1_000_000
    values = FeatureReader(client).read([Wanted(wanted, [owner])], at_ms=at_ms)[0]
    json.dump(_shown(values, (owner, *members), at_ms), sys.stdout, indent=2, default=list)
    sys.stdout.write("\n")


def _shown(values: Values, key: tuple[str, ...], at_ms: int) -> dict[str, object]:
    """One key's features as a person reads them; rollups hang on the owner."""
    shown: dict[str, object] = {name: ranking[0] for name, ranking in values.rollups.items()}
    if key in values.keys:
        place = values.keys.index(key)
        as_of = int(values.merged.as_of[place])
        shown |= {name: float(column[place]) for name, column in values.merged.numbers.items()}
        shown |= {name: column[place] for name, column in values.merged.lists.items()}
        shown |= {"as_of": as_of, "age_ms": at_ms - as_of if as_of else None, "status": values.status[place]}
    return shown


def _row(problem: Problem) -> dict[str, str | int]:
    return {
        "file": problem.path,
        "line": problem.line,
        "column": problem.column,
        "code": problem.code,
        "cause": problem.cause,
        "fix": problem.fix,
    }
