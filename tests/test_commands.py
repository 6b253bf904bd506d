"""Every command that a page names is one that its program accepts: the verb, each option, each value.

Names in capitals (NAME, FILE) are read as any text; `…` stands for what the page leaves out, COMMAND for any command.
"""

import contextlib
import io
from pathlib import Path

import cyclopts
import pytest

from headrace.cli import app, split_environment
from headrace.layout import REPOSITORY
from tests.support.manifests import job_options
from tests.support.pages import Command, commands, pages, spans

PAGES = {str(page.relative_to(REPOSITORY)): page for page in pages()}
FLINK_OPTIONS = {"-d": 0, "-s": 1, "-py": 1, "-pyexec": 1, "-pyclientexec": 1}
"""Of `flink run`, with the number of their values; what follows them belongs to the job."""


def fault_of(command: Command, *, whole: bool) -> str:
    """Why the command line refuses a command, empty if it accepts it; part of one may lack arguments. None is run."""
    words = [each for each in command.words if each != "…"]
    try:
        _, words = split_environment(words)
        if words[:1] != ["COMMAND"]:
            app.parse_args(words, exit_on_error=False, print_error=False)
    except cyclopts.MissingArgumentError as error:
        unknown = [each for each in error.unused_tokens or () if each.startswith("--") and each not in options(words)]
        fault = f"unknown option {', '.join(unknown)}" if unknown else str(error)
        return f"{command}: {fault}" if whole or unknown else ""
    except (cyclopts.CycloptsError, SystemExit) as error:
        return f"{command}: {error}"
    return ""


def options(words: list[str]) -> set[str]:
    """The options of the verb that a command names."""
    _, apps, _ = app.parse_commands(words)
    return {name for argument in apps[-1].assemble_argument_collection() for name in argument.names}


def fault_of_job(command: Command) -> str:
    """Why a job refuses the arguments of its `flink run`; empty if it accepts them, or if the page leaves them out."""
    words = list(command.words[1:])
    script = ""
    while words and words[0] in FLINK_OPTIONS:
        option = words.pop(0)
        value = words.pop(0) if FLINK_OPTIONS[option] else ""
        script = value if option == "-py" else script
    if script == "…":
        return ""
    with contextlib.redirect_stderr(io.StringIO()) as said:
        try:
            job_options(script, ["--bootstrap", "kafka:9092", *words])
        except (ImportError, SystemExit) as error:
            return f"{command}: {said.getvalue() or error}"
    return ""


@pytest.mark.parametrize("name", PAGES)
def test_the_command_line_accepts_every_command_of_a_page(name: str) -> None:
    faults = [fault_of(each, whole=True) for each in commands(PAGES[name], "headrace")]
    faults += [fault_of(each, whole=False) for each in spans(PAGES[name], "headrace")]
    assert not any(faults), "\n".join(filter(None, faults))


def test_the_commands_of_the_pages_are_found() -> None:
    found = [str(each) for page in PAGES.values() for each in commands(page, "headrace")]
    assert len(found) > 50
    assert sum(each.startswith(("README.md:", "docs/import.md:", "docs/upgrade.md:")) for each in found) > 15
    assert len([*commands(PAGES["docs/connect.md"], "flink")]) == 3


@pytest.mark.parametrize("name", PAGES)
def test_jobs_accept_what_a_page_submits_them_with(name: str) -> None:
    faults = [fault_of_job(each) for each in commands(PAGES[name], "flink")]
    assert not any(faults), "\n".join(filter(None, faults))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("$ headrace featurs plan", "page.md:4: featurs plan: Unknown command"),
        ("X=1 .venv/bin/headrace \\\n  features apply --sinse all && true", "page.md:4: features apply --sinse all: "),
        ("true && headrace features diff a@2 > out  # as text", "page.md:4: features diff a@2: "),
        ("headrace jobs rescale features two", "page.md:4: jobs rescale features two: "),
    ],
)
def test_a_fault_names_page_line_and_command(
    text: str, fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.support.pages.REPOSITORY", tmp_path)
    (tmp_path / "page.md").write_text(f"# A page\n\n```\n{text}\nheadrace status\n```\n")
    wrong, right = commands(tmp_path / "page.md", "headrace")
    assert fault_of(wrong, whole=True).startswith(fault)
    assert (fault_of(right, whole=True), right.line) == ("", 5 + text.count("\n"))


def test_an_option_that_a_sentence_names_must_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.support.pages.REPOSITORY", tmp_path)
    (tmp_path / "page.md").write_text("Use `headrace models rollback --two`, or `headrace models rollback`.\n")
    wrong, right = spans(tmp_path / "page.md", "headrace")
    assert fault_of(wrong, whole=False).startswith("page.md:1: models rollback --two: unknown option --two")
    assert fault_of(right, whole=False) == ""
