"""Splits the text of a feature file into tokens."""

import re
from typing import Literal, TypeAlias

from msgspec import Struct

from headrace.lang.errors.report import Report

TokenKind: TypeAlias = Literal["word", "string", "number", "duration", "symbol", "end"]
Span: TypeAlias = tuple[int, int]
"""Offset and length in the file."""

_TOKEN = re.compile(
    r"""(?P<skip>\s+|--[^\n]*|/\*.*?\*/)
      | (?P<word>(?:[A-Za-z_]|\{w\})(?:[A-Za-z0-9_]|\{w\})*)
      | (?P<duration>\d+(?:ms|[smhd])\b)
      | (?P<number>\d+(?:_\d+)*(?:\.\d+)?(?:[eE][+-]?\d+)?)
      | (?P<string>'(?:[^']|'')*')
      | (?P<symbol>=>|<=|>=|<>|!=|.)""",
    re.VERBOSE | re.DOTALL,
)


class Token(Struct, frozen=True):
    """One token of a feature file; `text` is as written."""

    kind: TokenKind
    text: str
    offset: int

    @property
    def span(self) -> Span:
        """Its offset and length."""
        return self.offset, len(self.text)

    def is_word(self, *words: str) -> bool:
        """Whether it is one of these words, ignoring case."""
        return self.kind == "word" and self.text.upper() in words

    def is_symbol(self, text: str) -> bool:
        """Whether it is this symbol."""
        return self.kind == "symbol" and self.text == text

    @property
    def unquoted(self) -> str:
        """The content of a string token."""
        return self.text[1:-1].replace("''", "'")


_KINDS: tuple[TokenKind, ...] = ("word", "duration", "number", "string", "symbol")


def tokenize(report: Report) -> tuple[Token, ...]:
    """Every token of the report's text and a final `end` token; an open string is an error."""
    tokens: list[Token] = []
    for match in _TOKEN.finditer(report.text):
        for kind in _KINDS:
            if match[kind] is not None:
                tokens.append(Token(kind, match[kind], match.start()))
        if match["symbol"] == "'":
            report.add("F100", (match.start(), 1), cause="this string does not end", fix="close it with a single quote")
    return (*tokens, Token("end", "", len(report.text)))
