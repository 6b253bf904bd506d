"""Mistakes in a test file: each is reported with its code, its position and its text."""

import pytest

from headrace.lang.errors.report import LangError
from headrace.lang.plan.plan import Plan
from headrace.lang.planner.source import WORDS
from headrace.lang.reference.cases import CASE, COUNTS, EXAMPLE
from headrace.lang.reference.source import SOURCE_WORDS
from headrace.lang.testfiles.cases import REFUSALS, Case, cases_in
from headrace.lang.testfiles.runner import run_cases

PATH = "user_category.test.yaml"
GOOD = """# times without a date are 2026-01-01 UTC
- name: two shops
  given:
    clickstream: |
      event_id, occurred_at, received_at, user_id, event_type, category, value, context
      e1, 10:00:00, 10:00:00, u1, click, shoes, 1.5, a=b

      e2, 10:00:01, 10:00:01, u1, click, hats, ,           # an empty cell is NULL
  expect:
    - {at: "10:00:01", key: [u1, hats], affinity: 1}
    - {late: 0}
"""
MISTAKES = [
    # (text, its replacement, code line:column marked-text, cause, fix)
    ("category,", "catgory,", "F101 5:64 catgory", "unknown column 'catgory'", "did you mean category?"),
    (" value,", " country,", "F100 5:74 country", "country is computed by source clickstream", "computed from"),
    (" value,", " category,", "F116 5:74 category", "column category is given twice", "keep one"),
    ("received_at,", "position,", "F100 5:7 event_id", "the table has no column received_at", "add received_at"),
    (", shoes,", ",", "F100 6:7 e1, 10:00:00", "7 cells, but the table has the 8 columns event_id,", "every column"),
    ("1.5", "much", "F140 6:49 much", "value is 'much', expected DOUBLE", "a number, or nothing for NULL"),
    ("a=b", "a", "F140 6:54 a", "context is 'a', expected MAP<STRING, STRING>", "key=value"),
    ("e2, 10:00:01", "e2, noon", "F140 8:11 noon", "occurred_at is 'noon', expected a time", "10:00:00 (on"),
    ('at: "10:00:01"', 'at: "noon"', 'F140 10:12 "noon"', "'noon' is not a time", "10:00:00 (on 2026-01-01, UTC)"),
    ('at: "10:00:01"', "at: 1.5", "F140 10:12 1.5", "'1.5' is not a time", "milliseconds since 1970"),
    ("clickstream:", "clickstraem:", "F101 4:5 clickstraem", "unknown source 'clickstraem'", "clickstream?"),
    ("affinity:", "afinity:", "F101 10:41 afinity", "unknown feature 'afinity'", "did you mean affinity?"),
    ("late: 0", "lates: 0", "F101 11:8 lates", "unknown count of refused events 'lates'", "did you mean late?"),
    ("late: 0", "late: some", "F140 11:14 some", "late is 'some', expected a number of events", "whole number"),
    ("late: 0", "late: 0, late: 1", "F116 11:17 late", "late is given twice", "keep one"),
    ("key: [u1, hats], ", "", "F100 10:7 {at:", "a time and a key, but `key` is missing", "write {at:"),
    ('at: "10:00:01", ', "", "F100 10:7 {key:", "a time and a key, but `at` is missing", "write {at:"),
    ("expect:", "expects:", "F100 9:3 expects", "this is not a valid case: Object contains unknown field", "tests.md"),
    ("- name: two shops\n  given:", "- given:", "F100 2:3 given", "missing required field `name`", "tests.md"),
    ("  expect:", "  check: [shufle]\n  expect:", "F100 9:11 shufle", "Invalid enum value 'shufle'", "tests.md"),
    ("two shops", "[two, shops]", "F100 2:9 [two, shops]", "Expected `str`, got `array`", "tests.md"),
    ("two shops", "two: shops", "F100 2:12 :", "not valid YAML: mapping values are not allowed here", "quote values"),
    (GOOD, "name: two shops\n", "F100 1:1 name", f"{PATH} is not a list of cases", "tests.md"),
]  # fmt: skip


def test_a_good_file_is_read(shipped: Plan) -> None:
    ((group, case),) = cases_in({PATH: GOOD}, shipped)
    assert (group.name, case.name, len(case.check)) == ("user_category", "two shops", 3)
    unquoted = cases_in({PATH: GOOD.replace('"10:00:01"', "10:00:01")}, shipped)
    assert unquoted == [(group, case)]


@pytest.mark.parametrize(
    ("written", "instead", "position", "cause", "fix"), MISTAKES, ids=[each[3] for each in MISTAKES]
)
def test_a_mistake_is_reported(shipped: Plan, written: str, instead: str, position: str, cause: str, fix: str) -> None:
    assert written in GOOD
    with pytest.raises(LangError) as raised:
        cases_in({PATH: GOOD.replace(written, instead, 1)}, shipped)
    problem = raised.value.problems[0]
    code, line_column, marked = position.split(" ", 2)
    assert (problem.code, f"{problem.line}:{problem.column}") == (code, line_column)
    assert problem.text[problem.offset :].startswith(marked)
    assert cause in problem.cause
    assert fix in problem.fix
    assert str(problem).startswith(f"{PATH}:{line_column}: {code} ")


def test_all_mistakes_of_all_files_are_reported_at_once(shipped: Plan) -> None:
    strange = GOOD.replace("late: 0", "lates: 0").replace("category,", "catgory,").replace("1.5", "much")
    with pytest.raises(LangError) as raised:
        cases_in({PATH: strange, "user_catgory.test.yaml": GOOD, "user_recent.test.yaml": ""}, shipped)
    assert [(each.path, each.code, each.line) for each in raised.value.problems] == [
        (PATH, "F101", 5),
        (PATH, "F101", 11),
        ("user_catgory.test.yaml", "F101", 1),
        ("user_recent.test.yaml", "F100", 1),
    ]


def test_every_word_of_a_test_file_and_of_a_source_is_explained() -> None:
    assert tuple(CASE) == Case.__struct_fields__
    assert {*COUNTS} == {*REFUSALS}
    assert tuple(SOURCE_WORDS) == WORDS


def test_the_example_of_the_reference_holds(shipped: Plan) -> None:
    ((group, case),) = cases_in({"item_engagement.test.yaml": EXAMPLE}, shipped)
    assert run_cases(group, [case]) == []
