"""Errors of the feature language: a code of `lang.errors.codes`, a position, one line of cause and one of fix."""

import difflib
from collections.abc import Iterable
from typing import NoReturn

from msgspec import Struct


class Problem(Struct, frozen=True):
    """One error or warning in one file; `offset` and `length` locate it in the text."""

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
        line = lines[min(self.line, len(lines)) - 1]
        caret = " " * (self.column - 1) + "^" * max(1, min(self.length, len(line) - self.column + 1))
        return (
            f"{self.path}:{self.line}:{self.column}: {self.code} {self.cause}\n  {line}\n  {caret}\n  fix: {self.fix}"
        )


class LangError(Exception):
    """All errors in a set of files."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class Halt(Exception):
    """Stops parsing or planning a construct, after its problem was added to the report."""


class Report:
    """Collects the errors of one file in `problems`, and its warnings in `warnings`."""

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.text = text
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []

    def add(self, code: str, span: tuple[int, int], *, cause: str, fix: str) -> None:
        """Add an error at `span` (offset, length), once."""
        problem = Problem(code, self.path, self.text, span[0], span[1], cause, fix)
        if problem not in self.problems:
            self.problems.append(problem)

    def warn(self, code: str, span: tuple[int, int], *, cause: str, fix: str) -> None:
        """Add a warning at `span`."""
        self.warnings.append(Problem(code, self.path, self.text, span[0], span[1], cause, fix))

    def halt(self, code: str, span: tuple[int, int], *, cause: str, fix: str) -> NoReturn:
        """Add an error and leave the construct that it is in.

        Raises:
            Halt: always.
        """
        self.add(code, span, cause=cause, fix=fix)
        raise Halt

    def unknown(self, noun: str, name: str, known: Iterable[str], span: tuple[int, int]) -> NoReturn:
        """Add an F101 that suggests the nearest known name.

        Raises:
            Halt: always.
        """
        names = sorted(known)
        near = difflib.get_close_matches(name, names, n=1)
        fix = f"did you mean {near[0]}?" if near else f"use one of {', '.join(names) or '(none declared)'}"
        self.halt("F101", span, cause=f"unknown {noun} {name!r}", fix=fix)
