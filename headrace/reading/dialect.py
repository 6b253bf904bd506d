"""Detect the dialect of a delimited text: the one in which its lines agree."""

from collections.abc import Sequence

from headrace.reading.cells import is_number_or_date
from headrace.reading.rows import Dialect, Quoting, Rows, split_rows

_STRONG = ("\t", "::", "||", "\x01")  # rarely part of ordinary text
_USUAL = (";", ",", "|")
_WEAK = ("^", "~", " ")
_SAMPLE = 1_000  # lines used to choose the separator; the quoting is chosen by all lines


def detect_rows(lines: Sequence[str], wanted: Sequence[str]) -> tuple[Rows, Dialect]:
    """Detect the dialect of a text and split it into rows.

    Args:
        lines: lines with their line ends.
        wanted: columns that the header must name, or column numbers if there is no header; may be empty.
    """
    separator = _separator(lines, wanted)
    best, dialect = Rows([], [], 0), Dialect(separator, "none")
    for quoting in _quotings(lines, separator):
        rows = split_rows(lines, Dialect(separator, quoting))
        if not best.width or rows.misfits < best.misfits:
            best, dialect = rows, Dialect(separator, quoting)
        if not best.misfits:
            break
    return best, dialect


def _quotings(lines: Sequence[str], separator: str) -> list[Quoting]:
    """Quotings that a text may use, the likeliest first."""
    if not any('"' in line for line in lines):
        return ["none", "backslash"] if any("\\" in line for line in lines) else ["none"]
    spaced = any(f'{separator} "' in line for line in lines)
    backslash = any("\\" in line for line in lines)
    return ["doubled", *(["spaced"] if spaced else []), *(["backslash"] if backslash else []), "none"]


def _separator(lines: Sequence[str], wanted: Sequence[str]) -> str:
    sample = lines[:_SAMPLE]
    found = [each for each in (*_STRONG, *_USUAL, *_WEAK) if any(each in line for line in sample)]
    return max(found, key=lambda each: _fitness(sample, each, wanted), default=",")


def _fitness(sample: Sequence[str], separator: str, wanted: Sequence[str]) -> tuple[float, ...]:
    """How well a separator fits: wanted columns, rows of equal width, a rare character, more fields.

    A header that names the wanted columns decides. Next comes the share of rows that agree, rounded to a tenth, so that
    a few bad rows do not favour a separator that occurs in no row.
    """
    tried = [split_rows(sample, Dialect(separator, quoting)) for quoting in ("doubled", "none")]
    rows = min(tried, key=lambda each: each.misfits / max(len(each.rows) + len(each.broken), 1))
    first = rows.rows[0].fields if rows.rows else []
    if all(map(str.isdecimal, wanted)):
        has_wanted = rows.width >= max((int(name) for name in wanted), default=2)
    else:
        names = {name.strip() for name in first}
        has_wanted = all(name in names for name in wanted)
    agreeing = 1 - rows.misfits / max(len(rows.rows) + len(rows.broken), 1)
    strength = 2 if separator in _STRONG else 1 if separator in _USUAL else 0
    numbers = sum(is_number_or_date(field) for row in rows.rows[1:20] for field in row.fields)
    return (
        has_wanted,
        rows.width > 1,
        len(first) == rows.width,
        round(agreeing, 1),
        strength,
        rows.width,
        numbers,
        -(_STRONG + _USUAL + _WEAK).index(separator),
    )
