"""Split a delimited text into rows with Python's csv, and report the lines that are not rows."""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Literal, Protocol, TypeAlias

from msgspec import Struct

from headrace.reading.cells import is_number_or_date

Quoting: TypeAlias = Literal["doubled", "spaced", "backslash", "none"]
_MOSTLY = 0.9
_PASSES = 20  # at most, to find quotes that swallow rows
_ESCAPED = re.compile(r'\\(["\\\n])|\\')


class Dialect(Struct, frozen=True):
    """How fields are separated and quoted.

    Attributes:
        quoting: how a quote is written inside quotes: doubled; spaced: doubled, and spaces precede the quotes;
            backslash: after a backslash; none: quotes are ordinary characters.
    """

    separator: str
    quoting: Quoting


class Row(Struct, frozen=True):
    """The fields of a row and the line it starts at, from 1."""

    line: int
    fields: list[str]


class Broken(Struct, frozen=True):
    """A line that is not a row, and why."""

    line: int
    reason: str


class Rows(Struct, frozen=True):
    """All rows of a text, in order; `width`: the number of fields that most of them have."""

    rows: list[Row]
    broken: list[Broken]
    width: int

    @property
    def misfits(self) -> int:
        """Number of broken lines and of rows with another width."""
        return len(self.broken) + sum(len(row.fields) != self.width for row in self.rows)


def split_lines(text: str) -> list[str]:
    r"""Split a text into lines with their ends: `\n` and `\r\n`, or `\r` if the text has no `\n`."""
    text = text if "\n" in text else text.replace("\r", "\n")
    return list(io.StringIO(text, newline="\n"))


def split_rows(lines: Sequence[str], dialect: Dialect) -> Rows:
    """Split lines into rows.

    A quote that is not closed at the end of its field costs only its own line: reading continues after it, even if a
    stray quote in a later row happens to close it.
    """
    splitter = _Splitter(lines, dialect)
    swallowing: frozenset[int] = frozenset()
    rows, broken = splitter.split(swallowing)
    for _ in range(_PASSES):
        found = splitter.swallowing(rows)
        if not found:
            break
        swallowing |= found
        rows, broken = splitter.split(swallowing)
    return Rows(rows, broken, _usual_width(rows))


class _Reader(Protocol):
    """The type that csv.reader returns."""

    line_num: int

    def __iter__(self) -> Iterator[list[str]]: ...


class _Splitter:
    """Splits lines by a dialect."""

    def __init__(self, lines: Sequence[str], dialect: Dialect) -> None:
        text = "".join(lines)
        # Private-use characters replace separators and line ends that csv does not accept.
        spare = (chr(code) for code in range(0xE000, 0xF8FF))
        self._separator, self._return = islice((letter for letter in spare if letter not in text), 2)
        self._dialect = dialect
        if dialect.quoting == "backslash":
            text = _ESCAPED.sub(lambda found: found[0] if found[1] else r"\\", text)
        text = re.sub(r"\r(?!\n)", self._return, text)
        self._lines = list(io.StringIO(text.replace(dialect.separator, self._separator), newline="\n"))

    def split(self, unclosed: frozenset[int]) -> tuple[list[Row], list[Broken]]:
        """Rows and broken lines; `unclosed`: lines, from 0, whose quote is known not to be closed."""
        rows: list[Row] = []
        broken: list[Broken] = []
        begin = 0
        while begin < len(self._lines):
            if begin in unclosed:
                broken.append(Broken(begin + 1, _NOT_CLOSED))
                begin += 1
                continue
            begin = self._split_from(begin, unclosed, rows=rows, broken=broken)
        return rows, broken

    def _split_from(self, begin: int, unclosed: frozenset[int], *, rows: list[Row], broken: list[Broken]) -> int:
        """Append rows from a line on until one is broken; returns the line to continue from."""
        reader, at = self._reader(islice(self._lines, begin, None)), begin
        try:
            for fields in reader:
                if any(field.strip() for field in fields) or len(fields) > 1:
                    rows.append(Row(at + 1, self._restore(fields)))
                at = begin + reader.line_num
                if at in unclosed:
                    return at
        except csv.Error as error:
            broken.append(Broken(at + 1, _TOO_LONG if "limit" in str(error) else _NOT_CLOSED))
            return at + 1
        return len(self._lines)

    def _reader(self, lines: Iterator[str]) -> "_Reader":
        if self._dialect.quoting == "none":
            return csv.reader(lines, delimiter=self._separator, quoting=csv.QUOTE_NONE)
        if self._dialect.quoting == "backslash":
            return csv.reader(lines, delimiter=self._separator, doublequote=False, escapechar="\\", strict=True)
        spaced = self._dialect.quoting == "spaced"
        return csv.reader(lines, delimiter=self._separator, skipinitialspace=spaced, strict=True)

    def _restore(self, fields: list[str]) -> list[str]:
        return [field.replace(self._separator, self._dialect.separator).replace(self._return, "\r") for field in fields]

    def swallowing(self, rows: Sequence[Row]) -> frozenset[int]:
        """First lines, from 0, of multi-line rows each of whose lines reads as a separate row."""
        spans = [(row.line - 1, row.line - 1 + _lines_in(row)) for row in rows]
        long = [(begin, end) for begin, end in spans if end - begin > 1]
        if not long:
            return frozenset()
        width, short = _usual_width(rows), [row for row in rows if _lines_in(row) == 1]
        columns = _numeric_columns([row.fields for row in short[1:] if len(row.fields) == width], width)
        return frozenset(
            begin for begin, end in long if width > 1 and columns and self._are_rows(begin, end, width, columns)
        )

    def _are_rows(self, begin: int, end: int, width: int, columns: Sequence[int]) -> bool:
        """Whether lines are rows of this width, with numbers in `columns`, if quotes are ordinary characters."""
        split = [line.rstrip("\r\n").split(self._separator) for line in self._lines[begin:end] if line.strip()]
        return all(
            len(fields) == width and all(is_number_or_date(fields[column].strip('"')) for column in columns)
            for fields in split
        )


_NOT_CLOSED = "a quote is not closed at the end of its field"
_TOO_LONG = f"a field has more than {csv.field_size_limit():,} characters"


def _usual_width(rows: Sequence[Row]) -> int:
    """The number of fields that most rows have; among ties the first row's, else the largest."""
    counts = Counter(len(row.fields) for row in rows)
    first = len(rows[0].fields) if rows else 0
    return max(counts, key=lambda width: (counts[width], width == first, width), default=0)


def _lines_in(row: Row) -> int:
    return 1 + sum(field.count("\n") for field in row.fields)


def _numeric_columns(rows: Sequence[list[str]], width: int) -> list[int]:
    """Columns most of whose cells are numbers or dates."""
    return [
        column
        for column in range(width)
        if rows and sum(is_number_or_date(fields[column]) for fields in rows) >= _MOSTLY * len(rows)
    ]
