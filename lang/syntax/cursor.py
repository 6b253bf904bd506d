"""A cursor over a list of tokens, with the small steps that every grammar rule is made of."""

from typing import NoReturn

from headrace.lang.errors.report import Report
from headrace.lang.syntax.duration import LIFETIME, Duration, parse_duration
from headrace.lang.syntax.lexer import Token
from headrace.lang.syntax.tree import Name, Sql


class Cursor:
    """Walks the tokens of one file; a step that does not match adds an F100 and raises Halt."""

    def __init__(self, tokens: tuple[Token, ...], report: Report) -> None:
        self.report = report
        self._tokens = tokens
        self._at = 0

    @property
    def token(self) -> Token:
        """The next token."""
        return self._tokens[self._at]

    @property
    def index(self) -> int:
        """How many tokens have been read."""
        return self._at

    @property
    def lookahead(self) -> Token:
        """The token after the next one."""
        return self._tokens[min(self._at + 1, len(self._tokens) - 1)]

    def advance(self) -> Token:
        """Read a token."""
        token = self.token
        if token.kind != "end":
            self._at += 1
        return token

    def fail(self, expected: str) -> NoReturn:
        """Add an error that something else was expected here.

        Raises:
            Halt: always.
        """
        found = self.token.text or "the end of the file"
        self.report.halt(
            "F100", self.token.span, cause=f"found {found!r}, expected {expected}", fix=f"write {expected} here"
        )

    def take(self, *words: str) -> bool:
        """Read the next token if it is one of these words."""
        if self.token.is_word(*words):
            self.advance()
            return True
        return False

    def take_symbol(self, text: str) -> bool:
        """Read the next token if it is this symbol."""
        if self.token.is_symbol(text):
            self.advance()
            return True
        return False

    def expect(self, *words: str) -> None:
        """Read these words, one after the other."""
        for word in words:
            if not self.take(word):
                self.fail(word)

    def expect_symbol(self, text: str) -> None:
        """Read this symbol."""
        if not self.take_symbol(text):
            self.fail(f"'{text}'")

    def name(self, noun: str) -> Name:
        """Read a word that names something."""
        if self.token.kind != "word":
            self.fail(noun)
        token = self.advance()
        return Name(token.text, token.span)

    def integer(self, noun: str) -> int:
        """Read a whole number, with or without digit groups: 5_000_000."""
        if self.token.kind != "number" or not self.token.text.replace("_", "").isdigit():
            self.fail(noun)
        return int(self.advance().text)

    def string(self) -> str:
        """Read a quoted string."""
        if self.token.kind != "string":
            self.fail("a string in single quotes")
        return self.advance().unquoted

    def duration(self) -> Duration:
        """Read a duration, bare or quoted."""
        text = self.token.unquoted if self.token.kind == "string" else self.token.text
        found = parse_duration(text) if self.token.kind in ("string", "duration") else None
        if found is None:
            self.fail("a duration such as 24h or '30 minutes'")
        self.advance()
        return found

    def window(self) -> Duration:
        """Read a duration, or `lifetime`."""
        return LIFETIME if self.take("LIFETIME") else self.duration()

    def sql(self, *stops: str) -> Sql:
        """Read an expression: everything up to a comma, closing bracket, ';' or stop word at this depth."""
        first, last, depth = self.token, self.token, 0
        while self.token.kind != "end" and not (depth == 0 and self._ends_sql(stops)):
            depth += self.token.text in ("(", "[")
            depth -= self.token.text in (")", "]")
            last = self.advance()
        if self.token is first:
            self.fail("an expression")
        text = self.report.text[first.offset : last.offset + len(last.text)]
        return Sql(text, first.offset)

    def _ends_sql(self, stops: tuple[str, ...]) -> bool:
        token = self.token
        return token.is_word(*stops) or (token.kind == "symbol" and token.text in (",", ")", "]", ";", "=>"))

    def skip_item(self, start: int, *stops: str) -> None:
        """After a Halt, skip the item that started at `start`: to the next comma, stop word or ';'."""
        depth = 0
        self._at = start
        while self.token.kind != "end" and not self.token.is_word(*stops):
            if self.token.text == ";" or (depth <= 0 and self.token.text == ","):
                return
            depth += self.token.text == "("
            depth -= self.token.text == ")"
            self.advance()
