"""docs/settings.md lists every variable, option and topic, and nothing that is gone."""

import argparse
import re
import subprocess

import pytest

import headrace.learner.__main__ as learner
from headrace.jobs import settings as jobs
from headrace.layout import REPOSITORY
from headrace.schemas.topics import TOPICS, Topic
from headrace.serving import settings as serving
from headrace.store import loader

PAGE = (REPOSITORY / "docs/settings.md").read_text(encoding="utf-8")
PARSERS = {
    "python -m headrace.serving": serving.command_line({}),
    "python -m headrace.serving.feeder": serving.feeder_command_line(),
    "python -m headrace.learner": learner.command_line(),
    "python -m headrace.store.loader": loader.command_line(),
    "jobs/NAME.py": jobs.command_line("samples"),
}
_DAY_MS = 86_400_000


def rows(title: str) -> list[str]:
    """The rows of the table under a title."""
    section = PAGE.split(f"## {title}\n")[1].split("\n## ")[0]
    return [line for line in section.splitlines() if line.startswith("| `")]


def option_row(action: argparse.Action) -> str:
    default = "required" if action.required else action.default
    shown = (
        ""
        if default is None or default is False or default == ""
        else f"{default:g}"
        if isinstance(default, float)
        else default
    )
    return f"| `{action.option_strings[-1]}` | {shown} | {action.help} |"


def topic_row(topic: Topic) -> str:
    kept = f"{topic.retention_ms // _DAY_MS} days" if topic.retention_ms >= 0 else "always"
    facts = (f"`{topic.name}`", topic.key, topic.value, topic.partitions, kept, topic.written_by, topic.read_by)
    return f"| {' | '.join(map(str, facts))} |"


@pytest.mark.parametrize("program", PARSERS)
def test_every_option_of_a_process_is_listed_with_its_default(program: str) -> None:
    assert rows(f"`{program}`") == [option_row(each) for each in PARSERS[program]._actions if each.dest != "help"]


def test_every_topic_is_listed() -> None:
    assert rows("Topics") == [topic_row(topic) for topic in TOPICS]


def test_every_environment_variable_is_listed() -> None:
    listed = {row.split("`")[1] for row in rows("Environment variables")}
    sources = subprocess.run(
        ["git", "grep", "-hoE", "HEADRACE_[A-Z_]+", "--", "*.py", ":!tests/lang/golden"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    if sources.returncode:
        pytest.skip("not a git checkout")
    begins = {name.removesuffix("…") for name in listed if name.endswith("…")}
    read = {name.removesuffix("_FILE") for name in sources.stdout.split()} - {"HEADRACE_"}
    assert {name for name in listed if not name.endswith("…")} == {
        name for name in read if not name.startswith((*begins,))
    }


@pytest.mark.parametrize(
    "text", ["serving.json", "keys.json", "fusion.json", "seasons.yaml", "secrets.json", "endpoints.json"]
)
def test_every_file_of_the_folder_that_people_touch_is_listed(text: str) -> None:
    assert any(f"`{text}`" in row for row in rows("Files in the stack's folder"))


def test_every_key_of_serving_json_is_listed() -> None:
    row = next(row for row in rows("Files in the stack's folder") if "`serving.json`" in row)
    assert set(serving.Config.__struct_fields__) <= set(re.findall(r"`([a-z_]+)`", row))
