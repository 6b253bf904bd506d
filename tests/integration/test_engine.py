"""`headrace features test` on the features job's SQL: cases at the ends of numbers, and those of the shipped groups.

They are marked `stack` because the command runs a Flink inside its process, which needs the memory and time of a stack.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from headrace.lang.planner.load import load_plan
from headrace.lang.testfiles.cases import SUFFIX, cases_in
from headrace.layout import FEATURES

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

EXTREMES = Path(__file__).parent / "fixtures" / "extremes"


def run_cases(folder: Path, *more: str) -> "subprocess.CompletedProcess[str]":
    command = [str(Path(sys.executable).with_name("headrace")), "features", "test", str(folder), *more]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=200)


@pytest.mark.parametrize("engine", ["tiles", "flink"])
def test_expressions_agree_at_the_ends_of_numbers(engine: str) -> None:
    done = run_cases(EXTREMES, "--engine", engine)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\n1 passed, 0 failed" in done.stdout


def test_cases_pass_on_flink_and_a_wrong_one_fails_with_its_events(tmp_path: Path) -> None:
    shutil.copytree(FEATURES, tmp_path, dirs_exist_ok=True)
    files = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.glob(f"*{SUFFIX}")}
    shipped = len(cases_in(files, load_plan(tmp_path)))
    with (tmp_path / "user_category.test.yaml").open("a", encoding="utf-8") as file:
        file.write(
            """
- name: this one is wrong
  given:
    clickstream: |
      event_id, occurred_at, received_at, user_id, event_type, category
      e1, 10:00:00, 10:00:00, u1, click, shoes
      e2, 10:00:01, 10:00:01, u1, click, hats
  expect:
    - {at: "10:00:01", key: [u1, hats], affinity: 7}
"""
        )
    done = run_cases(tmp_path, "--engine", "flink")
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"\n{shipped} passed, 1 failed" in done.stdout
    lines = done.stdout.splitlines()
    assert [line for line in lines if line.startswith("FAIL")] == ["FAIL user_category: this one is wrong"]
    assert len([line for line in lines if line.startswith("ok   ")]) == shipped > 0
    for path in ("oracle", "flink"):
        assert f"affinity of u1/hats at 10:00:01 is 1.0 by {path}, expected 7; events: e2" in done.stdout
