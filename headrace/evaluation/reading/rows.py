"""Rows of a delimited text by Python's csv, and the lines that are none."""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Literal, Protocol, TypeAlias

from msgspec import Struct

from headrace.evaluation.reading.cells import is_number_or_date

Quoting: TypeAlias = Literal["doubled", "spaced", "backslash", "none"]
_MOSTLY = 0.9
_PASSES = 20  # in search of quotes that swallow rows
_ESCAPED = re.compile(r'\\(["\\\n])|\\')


class Dialect(Struct, frozen=True):
    """How fields are separated and quoted.

    Attributes:
        quoting: how a quote is written inside quotes: doubled (spaced: and spaces precede the quotes), or behind a
            backslash; none: quotes are letters.
    """

    separator: str
    quoting: Quoting


class Row(Struct, frozen=True):
    """The fields of a row that begins at a line, from 1."""

    line: int
    fields: list[str]


class Broken(Struct, frozen=True):
    """A line that is no row, and why."""

    line: int
    reason: str


class Rows(Struct, frozen=True):
    """All rows of a text, in order, and how many fields most of them have."""

    rows: list[Row]
    broken: list[Broken]
    width: int

    @property
    def misfits(self) -> int:
        """Lines that are not of rows of the usual width."""
        return len(self.broken) + sum(len(row.fields) != self.width for row in self.rows)


def lines_of(text: str) -> list[str]:
    r"""The lines of a text with their ends: `\n` and `\r\n` end them, `\r` only where there is no other."""
    text = text if "\n" in text else text.replace("\r", "\n")
    return list(io.StringIO(text, newline="\n"))


def rows_of(lines: Sequence[str], dialect: Dialect) -> Rows:
    """Cut lines into rows.

    A quote that is not closed where a field ends costs its own line, and no other: reading goes on behind it. That
    also holds where it happens to be closed by a later row's stray quote.
    """
    cut = _Cut(lines, dialect)
    swallowing: frozenset[int] = frozenset()
    rows, broken = cut.all(swallowing)
    for _ in range(_PASSES):
        found = cut.swallowing(rows)
        if not found:
            break
        swallowing |= found
        rows, broken = cut.all(swallowing)
    return Rows(rows, broken, _usual_width(rows))


class _Reader(Protocol):
    """What csv.reader returns."""

    line_num: int

    def __iter__(self) -> Iterator[list[str]]: ...


class _Cut:
    """Cuts lines by a dialect."""

    def __init__(self, lines: Sequence[str], dialect: Dialect) -> None:
        text = "".join(lines)
        spare = (chr(code) for code in range(0xE000, 0xF8FF))  # private use: they stand for what csv does not take
        self._separator, self._return = islice((letter for letter in spare if letter not in text), 2)
        self._dialect = dialect
        if dialect.quoting == "backslash":
            text = _ESCAPED.sub(lambda found: found[0] if found[1] else r"\\", text)
        text = re.sub(r"\r(?!\n)", self._return, text)
        self._lines = list(io.StringIO(text.replace(dialect.separator, self._separator), newline="\n"))

    def all(self, aside: frozenset[int]) -> tuple[list[Row], list[Broken]]:
        """Rows and what is none; `aside`: lines, from 0, whose quote is known not to be closed."""
        rows: list[Row] = []
        broken: list[Broken] = []
        begin = 0
        while begin < len(self._lines):
            if begin in aside:
                broken.append(Broken(begin + 1, _NOT_CLOSED))
                begin += 1
                continue
            begin = self._until_broken(begin, aside, rows=rows, broken=broken)
        return rows, broken

    def _until_broken(self, begin: int, aside: frozenset[int], *, rows: list[Row], broken: list[Broken]) -> int:
        """Take rows from a line on until one breaks; the line to go on from."""
        reader, at = self._reader(islice(self._lines, begin, None)), begin
        try:
            for fields in reader:
                if any(field.strip() for field in fields) or len(fields) > 1:
                    rows.append(Row(at + 1, self._restored(fields)))
                at = begin + reader.line_num
                if at in aside:
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

    def _restored(self, fields: list[str]) -> list[str]:
        return [field.replace(self._separator, self._dialect.separator).replace(self._return, "\r") for field in fields]

    def swallowing(self, rows: Sequence[Row]) -> frozenset[int]:
        """First lines, from 0, of rows over several lines each of which reads as a row of its own."""
        spans = [(row.line - 1, row.line - 1 + _lines_in(row)) for row in rows]
        long = [(begin, end) for begin, end in spans if end - begin > 1]
        if not long:
            return frozenset()
        width, short = _usual_width(rows), [row for row in rows if _lines_in(row) == 1]
        columns = _of_numbers([row.fields for row in short[1:] if len(row.fields) == width], width)
        return frozenset(
            begin for begin, end in long if width > 1 and columns and self._are_rows(begin, end, width, columns)
        )

    def _are_rows(self, begin: int, end: int, width: int, columns: Sequence[int]) -> bool:
        """Whether lines are rows of a width, quotes taken for letters, with numbers where others have them."""
        cut = [line.rstrip("\r\n").split(self._separator) for line in self._lines[begin:end] if line.strip()]
        return all(
            len(fields) == width and all(is_number_or_date(fields[place].strip('"')) for place in columns)
            for fields in cut
        )


_NOT_CLOSED = "a quote is not closed where its field ends"
_TOO_LONG = f"a field has more than {csv.field_size_limit():,} characters"


def _usual_width(rows: Sequence[Row]) -> int:
    """How many fields most rows have; of several, the first row's or the most."""
    counts = Counter(len(row.fields) for row in rows)
    first = len(rows[0].fields) if rows else 0
    return max(counts, key=lambda width: (counts[width], width == first, width), default=0)


def _lines_in(row: Row) -> int:
    return 1 + sum(field.count("\n") for field in row.fields)


def _of_numbers(rows: Sequence[list[str]], width: int) -> list[int]:
    """Columns most of whose cells are numbers or dates."""
    return [
        place
        for place in range(width)
        if rows and sum(is_number_or_date(fields[place]) for fields in rows) >= _MOSTLY * len(rows)
    ]
