"""What the documents say of the tree, the command line and the words is what the code has."""

import ast
import doctest
import importlib
import re
import subprocess
from pathlib import Path

import pytest

from headrace.cli import app
from headrace.connections.settings import variable
from headrace.features import verbs as features
from headrace.keys import verbs as keys
from headrace.layout import REPOSITORY
from headrace.log import topic_verbs as topics
from headrace.project import SETTINGS
from headrace.registry import verbs as models
from headrace.stack import job_verbs as jobs

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
MODULES = (REPOSITORY / "docs/modules.md").read_text(encoding="utf-8")
LINES_A_FILE, LINES_A_FUNCTION, LINES_A_TEST = 330, 40, 48


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "*.py"], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [REPOSITORY / name for name in listed.stdout.split() if (REPOSITORY / name).exists()]


def rooms() -> set[str]:
    return {path.relative_to(REPOSITORY).parts[0] for path in tracked() if path.parent != REPOSITORY} - {"tests"}


def test_every_room_is_in_the_readme_and_in_the_contracts() -> None:
    tree = README.split("## Finding your way")[1]
    assert rooms() == set(re.findall(r"\b([a-z]+)/ ", tree)) - {"features", "clients", "docker"}  # they are not Python
    assert rooms() == set(re.findall(r"^\| `([a-z]+)/`", MODULES, re.MULTILINE))


def test_every_verb_of_the_readme_is_a_verb_of_the_command_line() -> None:
    verbs = {name for name in app if not name.startswith("-")}
    said = set(re.findall(r"headrace (?!`)([a-z]+)", README.split("## Limits")[0])) - {"is"}
    assert said, "the README names no verb"
    assert said <= verbs


@pytest.mark.parametrize(
    ("group", "verbs"),
    [
        ("features", features.VERBS),
        ("jobs", jobs.VERBS),
        ("keys", keys.VERBS),
        ("models", models.VERBS),
        ("topics", topics.VERBS),
    ],
)
def test_every_verb_of_a_group_is_in_the_docs_as_its_help_says(group: str, verbs: dict[str, tuple[str, str]]) -> None:
    docs = "".join(path.read_text(encoding="utf-8") for path in (REPOSITORY / "docs").glob("*.md"))
    rows = dict(re.findall(rf"^\| `headrace {group} ([a-z-]+)` \| (.+) \|$", docs, re.MULTILINE))
    assert rows == {verb: says for verb, (_, says) in verbs.items()}
    assert set(re.findall(rf"headrace {group} ([a-z-]+)", docs)) <= verbs.keys()


def test_git_ignores_the_files_that_the_commands_of_the_api_page_write() -> None:
    page = (REPOSITORY / "docs/api.md").read_text(encoding="utf-8")
    commands = "".join(re.findall(r"```sh\n(.*?)```", page, re.DOTALL))
    written = set(re.findall(r"(?:> |-o )([a-z.]+)$", commands, re.MULTILINE))
    assert {"shop.token", "page.token", "slate.json"} <= written
    assert {f"/{name}" for name in written} <= set((REPOSITORY / ".gitignore").read_text().splitlines())


def test_every_module_says_what_it_holds_in_its_first_line() -> None:
    silent = [path for path in tracked() if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))]
    assert [str(path) for path in silent if path.name != "__init__.py" and "tests" not in path.parts] == []


def test_files_and_functions_fit_a_screen_or_two() -> None:
    long: list[str] = []
    for path in tracked():
        text = path.read_text(encoding="utf-8")
        if text.count("\n") > LINES_A_FILE:
            long.append(f"{path}: {text.count(chr(10))} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > (LINES_A_TEST if "tests" in path.parts else LINES_A_FUNCTION):
                    long.append(f"{path}:{node.lineno} {node.name}: {lines} lines")
    assert long == []


def test_every_file_of_a_recipe_exists() -> None:
    recipes = sorted((REPOSITORY / "docs/recipes").glob("*.md"))
    named = {
        path.name: re.findall(r"^\d+\. `([^`]+)`", path.read_text(encoding="utf-8"), re.MULTILINE) for path in recipes
    }
    assert sum(map(len, named.values())) > 30
    gone = [f"{name}: {file}" for name, files in named.items() for file in files if not (REPOSITORY / file).exists()]
    assert gone == []


def test_files_and_constants_that_pages_name_exist() -> None:
    pages = [REPOSITORY / "README.md", *(REPOSITORY / "docs").rglob("*.md")]
    named = {each for page in pages for each in re.findall(r"`([^`\n]+)`", page.read_text(encoding="utf-8"))}
    files = {
        each for each in named if re.fullmatch(r"[a-z_]+/[a-z_0-9./-]+\.(py|sql|lua|java|yml|json|hex|in|lock)", each)
    }
    settings = {variable(setting.removesuffix("_file")) for setting in SETTINGS}
    constants = {each for each in named if re.fullmatch(r"_?[A-Z]{2,}_[A-Z_]+", each)} - settings
    constants = {each for each in constants if not each.startswith("HEADRACE_KAFKA_")}  # librdkafka's names
    code = "".join(path.read_text(encoding="utf-8") for path in tracked())
    assert len(files) > 80
    assert len(constants) > 5
    assert [each for each in sorted(files) if not (REPOSITORY / each).exists()] == []
    assert [each for each in sorted(constants) if not re.search(rf"\b{each}\b", code)] == []


def test_glossary_names_each_word_once() -> None:
    meanings = (REPOSITORY / "docs/glossary.md").read_text(encoding="utf-8").split("## Say, not")[0]
    rows = re.findall(r"^\| ([^|]+) \|", meanings, re.MULTILINE)
    words = [word.strip() for row in rows[2:] for word in row.split(",")]
    assert len(words) == len(set(words)) > 40


def test_examples_in_docstrings_hold() -> None:
    shown = [path for path in tracked() if path.name != "test_docs.py" and ">>> " in path.read_text(encoding="utf-8")]
    places = [path.relative_to(REPOSITORY).with_suffix("").parts for path in shown]
    own = {"headrace", "benchmarks", "tests"}  # every other folder is a part of the package headrace
    names = [".".join(place if place[0] in own else ("headrace", *place)) for place in places]
    results = {name: doctest.testmod(importlib.import_module(name)) for name in names}
    assert len(results) > 10
    assert [name for name, result in results.items() if result.failed or not result.attempted] == []
