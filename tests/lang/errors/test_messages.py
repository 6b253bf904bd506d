"""Files with errors and their messages: one case per file in `fixtures/errors`, the messages in `golden/errors`."""

from collections.abc import Callable
from pathlib import Path

import pytest

from headrace.lang.errors.report import LangError
from headrace.lang.planner.load import parse_plan
from tests.support.paths import REPOSITORY, TESTS

FIXTURES = TESTS / "lang" / "fixtures/errors"
SOURCE = REPOSITORY / "features/sources/clickstream.sql"


@pytest.mark.parametrize("path", sorted(FIXTURES.glob("*.sql")), ids=lambda path: path.stem)
def test_errors(golden: Callable[[str, str], None], path: Path) -> None:
    files = {SOURCE.name: SOURCE.read_text(encoding="utf-8"), path.name: path.read_text(encoding="utf-8")}
    with pytest.raises(LangError) as raised:
        parse_plan(files)
    golden(f"errors/{path.stem}.txt", f"{raised.value}\n")
    assert all(problem.path == path.name for problem in raised.value.problems)


def test_a_problem_knows_its_line_and_column() -> None:
    with pytest.raises(LangError) as raised:
        parse_plan({"x.sql": "\n  NONSENSE"})
    (problem,) = raised.value.problems
    assert (problem.code, problem.line, problem.column) == ("F100", 2, 3)
