"""The page of errors: `lang.errors.codes`, each example with what is really said of it."""

from lang.errors.codes import CODES, Code
from lang.errors.report import Problem
from lang.planner.load import check_files
from lang.reference.pages import files_of


def errors_page() -> str:
    """The page."""
    rows = "".join(f"| [{code}](#{code.lower()}) | `{each.verb}` | {each.meaning} |\n" for code, each in CODES.items())
    return _PAGE.format(rows=rows, parts="\n".join(_part(code, each) for code, each in CODES.items()))


def find_problems(declared: str) -> tuple[Problem, ...]:
    """The errors and warnings of one declaration."""
    found = check_files(files_of(declared))
    return (*found.errors, *found.warnings)


def _part(code: str, each: Code) -> str:
    if each.verb != "validate":
        return f"## {code}\n\n{each.meaning.capitalize()}.\n\n```\n{each.wrong}\n```\n\nMend: {each.right}.\n"
    said = "\n".join(str(problem) for problem in find_problems(each.wrong))
    return (
        f"## {code}\n\n{each.meaning.capitalize()}.\n\n```sql\n{each.wrong}\n```\n\n```\n{said}\n```\n\n"
        f"Mended:\n\n```sql\n{each.right}\n```\n"
    )


_PAGE = """# Errors of the feature language

Written by `make docs` from the code; a test compares. An error stands at `file:line:column` with one line of cause \
and one line of fix; all are said at once. The exit code is 1; a warning leaves it 0. \
`headrace features validate --json` says the same to an editor. Of test files `test` says F100, F101, F116 and F140 \
too.

| code | said by | meaning |
|---|---|---|
{rows}
{parts}"""
