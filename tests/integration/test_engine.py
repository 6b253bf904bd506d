"""The cases of the shipped groups on the SQL of the features job, without a stack."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from headrace.stack.jobs import FEATURES
from lang.planner.load import load_plan
from lang.testfiles.cases import SUFFIX, cases_in

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]


EXTREMES = {
    "sources/readings.sql": """SOURCE readings (
  topic 'readings', event_time at_ms, lateness '1 hour', future '1 minute', dedupe id WITHIN '1 day'
) COLUMNS (
  id STRING REQUIRED, at_ms BIGINT REQUIRED, received_at BIGINT, user_id STRING REQUIRED, n BIGINT, m BIGINT, x DOUBLE,
  twice BIGINT AS n * 2, far DOUBLE AS exp(x) * exp(x)
);""",
    "extremes.sql": """FEATURE GROUP extremes (
  version 1, owner 'tests', entity user_id, source readings, on_missing null, description 'Numbers at their ends'
);
SELECT
  count(n + m) OVER 1h AS sums, sum(n * m) OVER 1h AS products, count(n - m) OVER 1h AS differences,
  count(-n) OVER 1h AS negatives, max(abs(n)) OVER 1h AS largest, count(exp(x) * exp(x)) OVER 1h AS finite,
  sum(x / n) OVER 1h AS ratios, count(*) FILTER (WHERE n + m > 0) OVER 1h AS positive,
  sum(n % 10) OVER 1h AS digits, last_n(n * 2, 9) OVER 1h AS doubled, last_n(twice, 9) OVER 1h AS twices,
  count(far) OVER 1h AS far_ones, max(least(n, m)) OVER 1h AS lesser,
  count(*) OVER EACH (1m, 1h) AS events_{w}, decayed_count(*, half_life => '10 minutes') AS hits,
  sum(x) OVER 1h AS total, sum(x * 1e300) OVER 1h AS beyond, avg(x) OVER 1h AS mean
FROM readings
GROUP BY user_id;""",
    "extremes.test.yaml": """- name: what a number cannot hold is NULL, by every executor
  given:
    readings: |
      id, at_ms, received_at, user_id, n, m, x
      a, 10:00:00, 10:00:00, u1, 9223372036854775807, 1, 700
      b, 10:00:01, 10:00:01, u1, -9223372036854775808, -1, -700
      c, 10:00:02, 10:00:02, u1, 4611686018427387904, 4611686018427387904, 3.4e38
      d, 10:00:03, 10:00:03, u1, 9199999999999998976, 1, 300
      e, 10:00:04, 10:00:04, u1, 3, -2, 0
      f, 10:00:05, 10:00:05, u1, 0, 5, -3.4e38
      g, 10:00:06, 10:00:06, u1, , 9223372036854775807,
      h, 10:01:09, 10:00:10, u2, , , 3.4e38
      i, 10:00:10, 10:00:10, u2, , , 3.4e38
  expect:
    - {at: "10:00:10", key: u1, sums: 3, products: 9199999999999998970, differences: 4, positive: 3}
    - {at: "10:00:10", key: u1, negatives: 4, largest: 9199999999999998976, finite: 3, far_ones: 3}
    - {at: "10:00:10", key: u2, events_1m: 2, events_1h: 2, hits: 2, total: 6.8e+38, beyond: null, mean: 3.4e+38}
    - {at: "10:00:10", key: u1, doubled: ["0", "6"], twices: ["0", "6"], digits: 12, lesser: 4611686018427387904}
""",
}


def test_expressions_agree_at_the_ends_of_numbers(tmp_path: Path) -> None:
    for name, text in EXTREMES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    headrace = Path(sys.executable).with_name("headrace")
    for engine in ([], ["--engine", "flink"]):
        command = [str(headrace), "features", "test", str(tmp_path), *engine]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=200)
        assert done.returncode == 0, done.stdout + done.stderr


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
