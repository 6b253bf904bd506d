"""`headrace features test`: the test files beside the groups, on the oracle and on an engine."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from headrace.engine import flink
from headrace.errors import UsageProblem
from headrace.folder import plan_in
from headrace.layout import FEATURES
from lang.plan import Group
from lang.testing import Case, read_cases, run_cases

SUFFIX = ".test.yaml"


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
