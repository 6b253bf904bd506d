"""Commands as the pages print them: each with its page and line, and blocks of them as a shell runs them."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from headrace.layout import REPOSITORY

_FENCE = re.compile(r"\s*```(\w*)")
_SHELL = ("", "sh")  # languages of blocks whose lines may be commands


class Command(Struct, frozen=True):
    """One command of a block: where it is printed, and its words after the shell has read them."""

    page: str
    line: int
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.page}:{self.line}: {shlex.join(self.words)}"


def pages() -> list[Path]:
    """README.md and all pages below docs/."""
    return [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]


def blocks(page: Path) -> list[tuple[int, str]]:
    """The blocks of a page that a shell could run, each with the number of its first line."""
    found: list[tuple[int, str]] = []
    language, begin, lines = None, 0, list[str]()
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        fence = _FENCE.match(line)
        if fence and language is None:
            language, begin, lines = fence[1], number + 1, []
        elif fence:
            if language in _SHELL:
                found.append((begin, "\n".join(lines) + "\n"))
            language = None
        else:
            lines.append(line)
    return found


def commands(page: Path, program: str) -> Iterator[Command]:
    """Each command of a page that runs a program, on a line of its own or after others, a prompt or variables."""
    name = str(page.relative_to(REPOSITORY))
    for begin, block in blocks(page):
        number = begin
        for line in block.replace("\\\n", "\0").splitlines():
            for words in _simple_commands(line.replace("\0", " ")):
                if words[0] == program or words[0].endswith(f"/{program}"):
                    yield Command(name, number, tuple(words[1:]))
            number += 1 + line.count("\0")


def spans(page: Path, program: str) -> Iterator[Command]:
    """Each command of a program that a page names in a sentence or a table; it may be a part of one."""
    name = str(page.relative_to(REPOSITORY))
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        for span in re.findall(rf"`({program} [^`]+)`", line):
            for words in _simple_commands(span):
                yield Command(name, number, tuple(words[1:]))


def _simple_commands(line: str) -> Iterator[list[str]]:
    """The commands of a line, each from its program to its redirection."""
    lexer = shlex.shlex(line.removeprefix("$ "), posix=True, punctuation_chars=True)
    lexer.whitespace_split, lexer.commenters = True, "#"
    try:
        words = list(lexer)
    except ValueError:  # an apostrophe in what a command prints
        words = line.split()
    command: list[str] = []
    for word in [*words, ";"]:
        if word in (";", "&&", "||", "|", "&"):
            while command and (re.match(r"[A-Z_]+=", command[0]) or command[0] in ("do", "then")):
                command.pop(0)
            if command:
                yield command[: command.index(">")] if ">" in command else command
            command = []
        else:
            command.append(word)


def run(block: str, folder: Path) -> str:
    """Run a block with the environment's `headrace`; returns what it prints, with what it reports.

    Raises:
        AssertionError: it fails.
    """
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block],
        cwd=folder,
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{block}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr
