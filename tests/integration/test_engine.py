"""The cases of the shipped groups on the SQL of the features job, without a stack."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from headrace.jobs import FEATURES
from lang.cases import SUFFIX, cases_in
from lang.load import load_plan

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]


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
    headrace = Path(sys.executable).with_name("headrace")
    command = [str(headrace), "features", "test", str(tmp_path), "--engine", "flink"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 1, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert [line for line in lines if line.startswith("FAIL")] == ["FAIL user_category: this one is wrong"]
    assert len([line for line in lines if line.startswith("ok   ")]) == shipped > 0
    for path in ("oracle", "flink"):
        assert f"affinity of u1/hats at 10:00:01 is 1.0 by {path}, expected 7; events: e2" in done.stdout
