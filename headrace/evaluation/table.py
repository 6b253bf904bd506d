"""Anybody's table of text: CSV, TSV or `::`, with a header or without, gzipped or not."""

import csv
import gzip
import zlib
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TypeAlias

from headrace.errors import UsageProblem

_SEPARATORS = ("\t", "::", ";", ",", "|")
_ONE = "\x1f"  # what stands for a separator: csv takes one character
Record: TypeAlias = dict[str, str]


def records(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, Record]]:
    """(line number, record) of each line of data.

    Args:
        path: gzipped if its name ends in `.gz`.
        columns: those that must be there, by their names in the header; where all are numbers, the file has none and
            they count from 1.

    Raises:
        UsageProblem: there is no such file or column, or it is not of such a kind.
    """
    if not path.exists():
        message = f"there is no file {path}"
        raise UsageProblem(message)
    try:
        yield from _records(path, columns)
    except (UnicodeError, OSError, EOFError, zlib.error, csv.Error) as error:
        message = f"{path} cannot be read: {error}; CSV or TSV in UTF-8 is wanted, gzipped if its name ends in .gz"
        raise UsageProblem(message) from error


def _records(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, Record]]:
    numbered = all(name.isdigit() for name in columns)
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8", newline="") as file:
        first = file.readline().removeprefix("\ufeff")
        if not first.strip():
            message = f"{path} begins with nothing; a header and rows are wanted, or rows alone and columns by number"
            raise UsageProblem(message)
        separator = max(_SEPARATORS, key=first.count)
        one = separator if len(separator) == 1 else _ONE
        lines = (line.replace(separator, one) for line in chain([first], file))
        reader = csv.reader(lines, delimiter=one)
        head = next(reader)
        names = [str(number) for number in range(1, len(head) + 1)] if numbered else head
        if missing := [name for name in columns if name not in names]:
            message = f"{path} has no column {', '.join(missing)}; it has {', '.join(names)}"
            raise UsageProblem(message)
        for fields in chain([head] if numbered else [], reader):
            if fields:  # an empty line is none
                yield reader.line_num, dict(zip(names, fields, strict=False))
