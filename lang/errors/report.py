"""Errors of the feature language: a code of `lang.errors.codes`, a place, one line of cause and one line of fix."""

import difflib
from collections.abc import Iterable
from typing import NoReturn

from msgspec import Struct


class Problem(Struct, frozen=True):
    """One thing wrong in one file; `offset` and `length` mark it in the file's text."""

    code: str
    path: str
    text: str
    offset: int
    length: int
    cause: str
    fix: str

    @property
    def line(self) -> int:
        """The line, from 1."""
        return self.text.count("\n", 0, self.offset) + 1

    @property
    def column(self) -> int:
        """The column, from 1."""
        return self.offset - (self.text.rfind("\n", 0, self.offset) + 1) + 1

    def __str__(self) -> str:
        lines = self.text.splitlines() or [""]
        shown = lines[min(self.line, len(lines)) - 1]
        caret = " " * (self.column - 1) + "^" * max(1, min(self.length, len(shown) - self.column + 1))
        return (
            f"{self.path}:{self.line}:{self.column}: {self.code} {self.cause}\n  {shown}\n  {caret}\n  fix: {self.fix}"
        )


class LangError(Exception):
    """Everything wrong with the files read, all at once."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class Halt(Exception):
    """Leaves a construct that cannot be read further; its problem stands in the report already."""


class Report:
    """Collects the problems of one file; what only deserves a word before going on stands in `warnings`."""

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.text = text
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []

    def add(self, code: str, span: tuple[int, int], *, cause: str, fix: str) -> None:
        """Note a problem at `span` (offset, length)."""
        problem = Problem(code, self.path, self.text, span[0], span[1], cause, fix)
        if problem not in self.problems:
            self.problems.append(problem)

    def warn(self, code: str, span: tuple[int, int], *, cause: str, fix: str) -> None:
        """Note at `span` what keeps nobody from going on."""
        self.warnings.append(Problem(code, self.path, self.text, span[0], span[1], cause, fix))

    def halt(self, code: str, span: tuple[int, int], *, cause: str, fix: str) -> NoReturn:
        """Note a problem and leave the construct it stands in.

        Raises:
            Halt: always.
        """
        self.add(code, span, cause=cause, fix=fix)
        raise Halt

    def unknown(self, noun: str, name: str, known: Iterable[str], span: tuple[int, int]) -> NoReturn:
        """Note an F101 with the nearest known name.

        Raises:
            Halt: always.
        """
        names = sorted(known)
        near = difflib.get_close_matches(name, names, n=1)
        fix = f"did you mean {near[0]}?" if near else f"use one of {', '.join(names) or '(none declared)'}"
        self.halt("F101", span, cause=f"unknown {noun} {name!r}", fix=fix)
