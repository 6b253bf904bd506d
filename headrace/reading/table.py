"""Read a table: delimited text or Parquet, with a header or without."""

import re
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

from msgspec import Struct

from headrace.errors import UsageProblem
from headrace.reading import parquet
from headrace.reading.cells import is_number_or_date
from headrace.reading.contents import is_damaged, is_parquet, printable, read_contents
from headrace.reading.dialect import detect_rows
from headrace.reading.rows import Row, split_lines

_SEPARATOR_LINE = re.compile("\ufeff?sep=(.+?)\r?\n")  # spreadsheets may write it as the first line


class UnusableRow(Struct, frozen=True):
    """A row that cannot be used: its first line, the reason, and the detail of this row."""

    line: int
    reason: str
    detail: str = ""

    def __str__(self) -> str:
        """Text for reports."""
        return f"line {self.line}: {self.detail or self.reason}"


class FileFormat(Struct, frozen=True, kw_only=True):
    """Format of a file; `encoding`, `separator` and `quoting` are empty for Parquet."""

    kind: Literal["Parquet", "delimited text"]
    encoding: str = ""
    gzipped: bool = False
    separator: str = ""
    quoting: str = ""
    header: bool = True


class Table(Struct, frozen=True):
    """Rows with one cell per name; lines (rows in Parquet) count from 1."""

    form: FileFormat
    names: list[str]
    rows: list[Row]
    unusable: list[UnusableRow]

    def index_of(self, name: str) -> int:
        """Index of a column."""
        return self.names.index(name)


def read(path: Path, wanted: Sequence[str]) -> Table:
    """Read a whole table.

    Args:
        path: delimited text, plain or gzipped, or Parquet; the content decides, not the name.
        wanted: columns that must exist, by their names in the header; if all are numbers, the file has no header and
            they count from 1; if empty, the header is detected.

    Raises:
        UsageProblem: the file or a column does not exist, two columns share a name, or the file is not a table.
    """
    if not path.is_file():
        where = "" if path.is_absolute() else f" (looked in {Path.cwd()})"
        message = f"there is no file {path}{where}; give the path of a delimited or Parquet file"
        raise UsageProblem(message)
    if is_parquet(path):
        names, values = parquet.read(path)
        rows = [Row(number, fields) for number, fields in enumerate(values, 1)]
        table = Table(FileFormat(kind="Parquet"), names, rows, [])
    else:
        table = _delimited(path, wanted)
    _check_names(path, table, wanted)
    return table


def _delimited(path: Path, wanted: Sequence[str]) -> Table:
    contents = read_contents(path)
    text, skipped = contents.text, 0
    if separator_line := _SEPARATOR_LINE.match(text):
        text, skipped = text[separator_line.end() :], 1
    found, dialect = detect_rows(split_lines(text), wanted)
    rows = [Row(row.line + skipped, row.fields) for row in found.rows]
    header = bool(rows) and _has_header(rows, wanted)
    names = (
        [printable(name.strip()) for name in rows[0].fields]
        if header
        else [str(each + 1) for each in range(found.width)]
    )
    kept, unusable = _check_rows(rows[1:] if header else rows, names, header=header)
    unusable += [UnusableRow(each.line + skipped, each.reason) for each in found.broken]
    form = FileFormat(
        kind="delimited text",
        encoding=contents.encoding,
        gzipped=contents.gzipped,
        separator=dialect.separator,
        quoting=dialect.quoting,
        header=header,
    )
    return Table(form, names, kept, sorted(unusable, key=lambda row: row.line))


def _check_rows(rows: Sequence[Row], names: Sequence[str], *, header: bool) -> tuple[list[Row], list[UnusableRow]]:
    """Rows with one cell per name, and the others as unusable; empty cells beyond the names are dropped."""
    width, kept, unusable = len(names), list[Row](), list[UnusableRow]()
    expected = f"{width} {'in the header' if header else 'in most rows'}"
    for row in rows:
        fields = row.fields
        if len(fields) > width and not any(field.strip() for field in fields[width:]):
            fields = fields[:width]
        if len(fields) != width:
            more = "more" if len(fields) > width else "fewer"
            reason = f"{more} fields than {'the header' if header else 'most rows'}"
            unusable.append(UnusableRow(row.line, reason, f"{len(fields)} fields, {expected}"))
        elif is_damaged(fields):
            unusable.append(UnusableRow(row.line, "bytes that are not UTF-8"))
        elif header and [field.strip() for field in fields] == list(names):
            unusable.append(UnusableRow(row.line, "a repeated header"))
        else:
            kept.append(Row(row.line, fields))
    return kept, unusable


def _has_header(rows: Sequence[Row], wanted: Sequence[str]) -> bool:
    if wanted:
        return not _are_numbers(wanted)
    return not any(is_number_or_date(field) for field in rows[0].fields)


def _are_numbers(wanted: Sequence[str]) -> bool:
    """Whether columns are wanted, all by their numbers."""
    return bool(wanted) and all(map(str.isdecimal, wanted))


def _check_names(path: Path, table: Table, wanted: Sequence[str]) -> None:
    if twice := next((name for name in table.names if name and table.names.count(name) > 1), None):
        numbers = ", ".join(str(number) for number, name in enumerate(table.names, 1) if name == twice)
        message = f"{path} has {table.names.count(twice)} columns named {twice!r} ({numbers}): rename all but one"
        raise UsageProblem(message)
    if table.form.kind == "Parquet" and _are_numbers(wanted):
        message = (
            f"{path} is Parquet and its columns have names: {', '.join(table.names)}; write names instead of numbers"
        )
        raise UsageProblem(message)
    if missing := [name for name in wanted if name not in table.names]:
        similar = {name: _most_similar(name, table.names) for name in missing}
        hints = "".join(f"; for {name}, did you mean {found}?" for name, found in similar.items() if found)
        message = f"{path} has no column {', '.join(missing)}; it has {', '.join(table.names)}{hints}"
        raise UsageProblem(message)


def _most_similar(name: str, names: Sequence[str]) -> str | None:
    """The most similar of the names, ignoring case; None if none is similar."""
    by_case = {each.lower(): each for each in names}
    close = get_close_matches(name.lower(), by_case, n=1, cutoff=0.5)
    within = [each for each in names if name.lower() in each.lower()]
    return by_case[close[0]] if close else within[0] if within else None
