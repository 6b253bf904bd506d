"""Text that people read uses no word that docs/glossary.md lists in backticks under "not"."""

import ast
import io
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec
import pytest
import yaml
from cyclopts import App
from rich.console import Console

from headrace.cli import app
from headrace.layout import REPOSITORY

GLOSSARY = REPOSITORY / "docs/glossary.md"
CHECKED = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["basedpyright"]["include"]
PACKAGES = [*CHECKED, "benchmarks"]
MESSAGES = frozenset({"message", "reason", "hint", "help"})
SQL = re.compile(r"\b(SELECT|FROM)\b")
Lines = Iterator[tuple[str, str]]  # (where, text)
Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def replacements() -> dict[str, str]:
    """What to say instead, by the word not to use."""
    rows = re.findall(
        r"^\| (.+) \| (.+) \|$", GLOSSARY.read_text(encoding="utf-8").split("## Say, not")[1], re.MULTILINE
    )
    return {word.lower(): say for say, words in rows for word in re.findall("`([^`]+)`", words)}


SAY = replacements()
REFUSED = re.compile(
    rf"(?<!there )(?<![\w-])({'|'.join(sorted(map(re.escape, SAY), key=len, reverse=True))})(?![\w-])", re.IGNORECASE
)


def markdown(path: Path) -> Lines:
    """Prose of a page: no code, no link targets, and of the glossary no list of words to avoid."""
    text = path.read_text(encoding="utf-8").split("## Say, not")[0]
    text = re.sub(r"^```.*?^```", lambda code: "\n" * code[0].count("\n"), text, flags=re.DOTALL | re.MULTILINE)
    for number, line in enumerate(re.sub(r"`[^`\n]*`|\]\([^)]*\)", "", text).splitlines(), 1):
        yield f"{path.relative_to(REPOSITORY)}:{number}", line


def commands(node: App = app, *verbs: str) -> Lines:
    """Help of the command `verbs`, and of those below it."""
    out = io.StringIO()
    app.help_print(verbs, console=Console(file=out, width=2000, no_color=True))
    for line in out.getvalue().splitlines():
        yield f"{' '.join(['headrace', *verbs])} --help", " ".join(line.strip(" │╭╮╰╯─").split())
    for verb in node:
        if not verb.startswith("-"):
            yield from commands(node[verb], *verbs, verb)


def values(node: object, where: str, keys: frozenset[str]) -> Lines:
    """Strings under any of `keys`, however deep in a JSON or YAML document."""
    if isinstance(node, dict | list):
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            if isinstance(value, str) and key in keys:
                yield f"{where}/{key}", value
            yield from values(value, f"{where}/{key}", keys)


def python(path: Path) -> Lines:
    """Public docstrings, the texts of raised errors, and sentences that are returned or become a message."""
    tree, where = ast.parse(path.read_text(encoding="utf-8")), path.relative_to(REPOSITORY)
    raised = [node.exc for node in ast.walk(tree) if isinstance(node, ast.Raise) and node.exc]
    named = {name.id for error in raised for name in ast.walk(error) if isinstance(name, ast.Name)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and any(isinstance(at, ast.Name) and at.id in named for at in node.targets):
            raised.append(node.value)  # `message = …`, then `raise Problem(message)`
        if isinstance(node, Documented) and not getattr(node, "name", "").startswith("_"):
            for line in (ast.get_docstring(node) or "").splitlines():
                yield f"{where}:{getattr(node, 'lineno', 1)}", re.sub(r"`[^`]*`|\bNone\b", "", line)
    for text in (node for error in raised for node in ast.walk(error) if isinstance(node, ast.Constant)):
        yield f"{where}:{text.lineno}", text.value if isinstance(text.value, str) else ""
    for text in (node for said in messages(tree) for node in ast.walk(said) if isinstance(node, ast.Constant)):
        if isinstance(text.value, str) and " " in text.value and not SQL.search(text.value):
            yield f"{where}:{text.lineno}", text.value


def messages(tree: ast.Module) -> Iterator[ast.expr]:
    """What is returned, and what is passed or assigned as a message, reason, hint or help."""
    for node in ast.walk(tree):
        names = [at.id for at in node.targets if isinstance(at, ast.Name)] if isinstance(node, ast.Assign) else []
        names += [node.arg or ""] if isinstance(node, ast.keyword) else []
        is_message = isinstance(node, ast.Return) or bool(MESSAGES & {*names})
        if is_message and isinstance(node, ast.Return | ast.Assign | ast.keyword) and node.value:
            yield node.value


def package(name: str) -> Lines:
    for path in sorted((REPOSITORY / name).rglob("*.py")):
        yield from python(path)


def api() -> Lines:
    described = msgspec.json.decode((REPOSITORY / "tests/serving/openapi.json").read_bytes())
    return values(described, "tests/serving/openapi.json", frozenset({"title", "description", "summary"}))


def alerts() -> Lines:
    rules = yaml.safe_load((REPOSITORY / "serving/alerts.yml").read_bytes())
    return values(rules, "serving/alerts.yml", frozenset({"alert", "summary", "fix"}))


PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
TEXTS: dict[str, Callable[[], Iterable[tuple[str, str]]]] = {
    **{str(page.relative_to(REPOSITORY)): lambda page=page: markdown(page) for page in PAGES},
    "command line": commands,
    "API": api,
    "alerts": alerts,
    **{name: lambda name=name: package(name) for name in PACKAGES},
}


@pytest.mark.parametrize("name", TEXTS)
def test_people_read_no_word_that_the_glossary_refuses(name: str) -> None:
    lines = list(TEXTS[name]())
    found = [
        f"{where}: {word!r}, say {SAY[word.lower()]}: {' '.join(text.split())[:120]}"
        for where, text in lines
        for word in REFUSED.findall(text)
    ]
    assert lines, "nothing was read"
    if found:
        pytest.fail("\n".join(found), pytrace=False)


def test_the_glossary_lists_words_to_refuse() -> None:
    assert len(SAY) > 50
    assert REFUSED.findall("It Told us so many; `x` is none. A stand-in, retold; there is none.") == [
        "Told",
        "so many",
        "is none",
    ]
