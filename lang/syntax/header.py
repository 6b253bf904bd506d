"""The header of a SOURCE or FEATURE GROUP: `word value` entries in brackets, read one word at a time."""

from collections.abc import Callable, Collection
from typing import TypeVar

from headrace.lang.errors.report import Halt, Report
from headrace.lang.syntax.cursor import Cursor
from headrace.lang.syntax.lexer import Token
from headrace.lang.syntax.tree import Name, Option

T = TypeVar("T")
F = TypeVar("F")


class Header:
    """Looks up header words; a missing or malformed value adds an error and returns the fallback."""

    def __init__(
        self, owner: Name, options: tuple[Option, ...], report: Report, *, several: Collection[str] = ()
    ) -> None:
        """`several`: words that may be repeated."""
        self._owner = owner
        self._report = report
        self._written = options
        self._options = {option.name.text: option for option in options}
        for option in options:
            if self._options[option.name.text] is not option and option.name.text not in several:
                cause = f"{option.name.text} is given twice"
                report.add("F116", option.name.span, cause=cause, fix="keep one of them")

    def allow(self, *words: str) -> None:
        """Add an error for every word that is not one of these."""
        for word, option in self._options.items():
            if word not in words:
                cause, fix = f"unknown header word {word!r}", f"use {', '.join(words)}"
                self._report.add("F100", option.name.span, cause=cause, fix=fix)

    def has(self, word: str) -> bool:
        """Whether the header has the word."""
        return word in self._options

    def read(self, word: str, rule: Callable[[Cursor], T], fallback: T) -> T:
        """Parse the word's whole value with a grammar rule."""
        option = self._options.get(word)
        if option is None:
            cause = f"{self._owner.text} has no {word}"
            self._report.add("F100", self._owner.span, cause=cause, fix=f"add {word} to its header")
            return fallback
        return self._value(option, rule, fallback)

    def each(self, word: str, rule: Callable[[Cursor], T]) -> tuple[T, ...]:
        """Every value of a repeatable word; malformed ones are left out."""
        read = (self._value(option, rule, None) for option in self._written if option.name.text == word)
        return tuple(value for value in read if value is not None)

    def _value(self, option: Option, rule: Callable[[Cursor], T], fallback: F) -> T | F:
        start, length = option.values[-1].span if option.values else option.name.span
        cursor = Cursor((*option.values, Token("end", "", start + length)), self._report)
        try:
            value = rule(cursor)
            if cursor.token.kind != "end":
                cursor.fail("',' or ')'")
        except Halt:
            return fallback
        return value

    def string(self, word: str) -> str:
        """Read a quoted string."""
        return self.read(word, Cursor.string, "")

    def name(self, word: str) -> Name:
        """Read a bare word."""
        return self.read(word, lambda cursor: cursor.name("a name"), self._owner)

    def duration_ms(self, word: str) -> int:
        """Read a duration."""
        return self.read(word, lambda cursor: cursor.duration().length_ms, 1)
