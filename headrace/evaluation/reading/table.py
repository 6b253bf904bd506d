"""Anybody's table: CSV, TSV and their kin, or Parquet, with a header or without."""

import re
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from msgspec import Struct

from headrace.errors import UsageProblem
from headrace.evaluation.reading import parquet
from headrace.evaluation.reading.cells import is_number_or_date
from headrace.evaluation.reading.contents import contents_of, is_damaged, is_parquet, printable
from headrace.evaluation.reading.dialect import rows_in
from headrace.evaluation.reading.rows import Row, lines_of

_SEPARATOR_LINE = re.compile("\ufeff?sep=(.+?)\r?\n")  # which spreadsheets write first


class Fault(Struct, frozen=True):
    """A row that could not be used: its first line, the reason, and what is wrong with this one."""

    line: int
    reason: str
    detail: str = ""

    def __str__(self) -> str:
        """As it is reported."""
        return f"line {self.line}: {self.detail or self.reason}"


class Form(Struct, frozen=True, kw_only=True):
    """How a file is written; `separator` and `quoting` are empty for Parquet."""

    kind: str
    encoding: str = ""
    gzipped: bool = False
    separator: str = ""
    quoting: str = ""
    header: bool = True


class Table(Struct, frozen=True):
    """Rows of as many cells as there are names; lines count from 1, Parquet's rows too."""

    form: Form
    names: list[str]
    rows: list[Row]
    faults: list[Fault]

    def place(self, name: str) -> int:
        """Where a column is."""
        return self.names.index(name)


def read(path: Path, wanted: Sequence[str]) -> Table:
    """Read a whole table.

    Args:
        path: CSV or its kin, plain or gzipped, or Parquet; the content says which.
        wanted: columns that must be there, by their names in the header; where all are numbers the file has no header
            and they count from 1. None at all: whether there is a header is guessed.

    Raises:
        UsageProblem: there is no such file or column, two columns share a name, or it is no table.
    """
    if not path.is_file():
        message = f"there is no file {path}"
        raise UsageProblem(message)
    if is_parquet(path):
        names, values = parquet.read(path)
        rows = [Row(number, fields) for number, fields in enumerate(values, 1)]
        table = Table(Form(kind="Parquet"), names, rows, [])
    else:
        table = _delimited(path, wanted)
    _check_names(path, table, wanted)
    return table


def _delimited(path: Path, wanted: Sequence[str]) -> Table:
    contents = contents_of(path)
    text, skipped = contents.text, 0
    if said := _SEPARATOR_LINE.match(text):
        text, skipped = text[said.end() :], 1
    found, dialect = rows_in(lines_of(text), wanted)
    rows = [Row(row.line + skipped, row.fields) for row in found.rows]
    header = bool(rows) and _has_header(rows, wanted)
    names = (
        [printable(name.strip()) for name in rows[0].fields]
        if header
        else [str(each + 1) for each in range(found.width)]
    )
    kept, misfits = _fitting(rows[header:], names, header=header)
    faults = [*misfits, *(Fault(each.line + skipped, each.reason) for each in found.broken)]
    form = Form(
        kind="delimited text",
        encoding=contents.encoding,
        gzipped=contents.gzipped,
        separator=dialect.separator,
        quoting=dialect.quoting,
        header=header,
    )
    return Table(form, names, kept, sorted(faults, key=lambda fault: fault.line))


def _fitting(rows: Sequence[Row], names: Sequence[str], *, header: bool) -> tuple[list[Row], list[Fault]]:
    """Rows with as many cells as there are names, and the others; empty cells beyond the names are dropped."""
    width, kept, faults = len(names), list[Row](), list[Fault]()
    expected = f"{width} {'in the header' if header else 'in most rows'}"
    for row in rows:
        fields = row.fields
        if len(fields) > width and not any(field.strip() for field in fields[width:]):
            fields = fields[:width]
        if len(fields) != width:
            more = "more" if len(fields) > width else "fewer"
            reason = f"{more} fields than {'the header' if header else 'most rows'}"
            faults.append(Fault(row.line, reason, f"{len(fields)} fields, {expected}"))
        elif is_damaged(fields):
            faults.append(Fault(row.line, "bytes that are not UTF-8"))
        elif header and [field.strip() for field in fields] == list(names):
            faults.append(Fault(row.line, "the header once more"))
        else:
            kept.append(Row(row.line, fields))
    return kept, faults


def _has_header(rows: Sequence[Row], wanted: Sequence[str]) -> bool:
    if wanted:
        return not all(map(str.isdecimal, wanted))
    return not any(is_number_or_date(field) for field in rows[0].fields)


def _check_names(path: Path, table: Table, wanted: Sequence[str]) -> None:
    if twice := next((name for name in table.names if name and table.names.count(name) > 1), None):
        places = ", ".join(str(place + 1) for place, name in enumerate(table.names) if name == twice)
        message = f"{path} has {table.names.count(twice)} columns named {twice!r} ({places}): rename all but one"
        raise UsageProblem(message)
    if table.form.kind == "Parquet" and wanted and all(map(str.isdecimal, wanted)):
        message = (
            f"{path} is Parquet and its columns have names: {', '.join(table.names)}; write those in place of numbers"
        )
        raise UsageProblem(message)
    if missing := [name for name in wanted if name not in table.names]:
        near = {name: _nearest(name, table.names) for name in missing}
        hints = "".join(f"; for {name}, did you mean {found}?" for name, found in near.items() if found)
        message = f"{path} has no column {', '.join(missing)}; it has {', '.join(table.names)}{hints}"
        raise UsageProblem(message)


def _nearest(name: str, names: Sequence[str]) -> str | None:
    """The name most like one, whatever its case."""
    by_case = {each.lower(): each for each in names}
    close = get_close_matches(name.lower(), by_case, n=1, cutoff=0.5)
    within = [each for each in names if name.lower() in each.lower()]
    return by_case[close[0]] if close else within[0] if within else None
