"""`headrace features test`: run the test files of the groups on the oracle and on an engine."""

import sys
import time
from pathlib import Path
from typing import Literal

from headrace.errors import UsageProblem
from headrace.features.feature_files import plan_in
from headrace.lang.errors.report import LangError
from headrace.lang.plan.plan import Group
from headrace.lang.testfiles.cases import SUFFIX, Case, cases_in
from headrace.lang.testfiles.runner import run_cases
from headrace.layout import FEATURES


def run_tests(folder: Path = FEATURES, *, k: str = "", engine: Literal["tiles", "flink"] = "tiles") -> None:
    """Run the test files of the groups, on the oracle and on an engine.

    Args:
        folder: folder of the feature files.
        k: run only cases whose group or name contains this text.
        engine: tiles, with reordered and repeated deliveries; or flink, the features job's SQL in this process.
    """
    begun = time.monotonic()
    selected = [(group, case) for group, case in _cases(folder) if k in f"{group.name} {case.name}"]
    if not selected:
        message = f"no case of a *{SUFFIX} file in {folder} contains {k!r}; leave --k out to run all of them"
        raise UsageProblem(message)
    engines = None
    if engine == "flink":
        from headrace.features.flink_engine import flink_engine  # needs the extra `local`, the rest does not

        engines = flink_engine(selected)
    failed = 0
    for group, case in selected:
        failures = run_cases(group, [case], engines=engines)
        failed += bool(failures)
        sys.stdout.write(f"{'FAIL' if failures else 'ok  '} {group.name}: {case.name}\n")
        sys.stdout.writelines(f"     {failure}\n" for failure in failures)
    sys.stdout.write(f"{len(selected) - failed} passed, {failed} failed in {time.monotonic() - begun:.2f} s\n")
    if failed:
        sys.exit(1)


def _cases(folder: Path) -> list[tuple[Group, Case]]:
    plan, paths = plan_in(folder), sorted(folder.rglob(f"*{SUFFIX}"))
    try:
        return cases_in({path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8") for path in paths}, plan)
    except LangError as error:
        raise UsageProblem("\n" + str(error)) from error
