"""Summarize how a file was read, for people and for programs."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from msgspec import Struct

from headrace.reading.cells import kind_of, value_of
from headrace.reading.ids import IdMatch
from headrace.reading.table import FileFormat, Table, UnusableRow
from headrace.reading.times import Clock

_MOSTLY = 0.9
_DAY_MS = 86_400_000
_EXAMPLES = 3


class Column(Struct, frozen=True, kw_only=True):
    """A column: the kind of most of its cells; `others` have another kind, `empty` are empty."""

    name: str
    kind: str
    distinct: int
    empty: int
    others: int
    examples: list[str]


class TimeSpan(Struct, frozen=True, kw_only=True):
    """Times of the rows that were read.

    Attributes:
        unit: unit of most cells.
        units: rows by unit.
        first: ISO 8601, UTC, as is `last`.
        days: days that have rows.
        rows_per_day: median over these days.
    """

    column: str
    unit: str
    units: dict[str, int]
    first: str
    last: str
    days: int
    rows_per_day: int


class LeftOut(Struct, frozen=True, kw_only=True):
    """Rows that were left out for one reason."""

    reason: str
    rows: int
    first_line: int
    example: str


class Summary(Struct, frozen=True, kw_only=True):
    """How a file was read; `rows` are all data lines, `read` those that are used."""

    file: str
    form: FileFormat
    rows: int
    read: int
    columns: list[Column]
    time: TimeSpan | None
    left_out: list[LeftOut]
    items: IdMatch | None = None

    @property
    def lines(self) -> Iterator[str]:
        """Lines for people."""
        form = self.form
        how = [form.kind, form.encoding, "gzipped" if form.gzipped else ""]
        if form.separator:
            how += [
                f"separated by {_SEPARATORS.get(form.separator, form.separator)}",
                _QUOTES[form.quoting],
                "a header" if form.header else "no header",
            ]
        yield f"{self.file}: {', '.join(part for part in how if part)}; {self.read} of {self.rows} rows read"
        yield from map(_column_line, self.columns)
        if self.time is not None:
            span = self.time
            mixed = (
                f" ({', '.join(f'{rows} {unit}' for unit, rows in span.units.items())})" if len(span.units) > 1 else ""
            )
            yield f"time: {span.column} in {span.unit}{mixed}, {span.first} to {span.last}"
            days = "1 day" if span.days == 1 else f"{span.days} days"
            yield f"      {days} with rows, median {span.rows_per_day} per day"
        if self.items is not None:
            yield self.items.line
        for each in self.left_out:
            yield f"left out: {each.rows} row{'s' if each.rows > 1 else ''}: {each.reason}; first {each.example}"


_SEPARATORS = {"\t": "tabs", ",": "commas", ";": "semicolons", "|": "bars", " ": "spaces", "\x01": "the character 1"}
_QUOTES = {
    "none": "no quoting",
    "doubled": "quotes doubled",
    "spaced": "quotes doubled, after spaces",
    "backslash": "quotes escaped by a backslash",
}


def describe_columns(table: Table) -> list[Column]:
    """Describe the columns of a table by their cells."""
    return [
        _column(name, [value_of(row.fields[index]) for row in table.rows]) for index, name in enumerate(table.names)
    ]


def _column(name: str, values: Sequence[str]) -> Column:
    counts = Counter(values)
    kinds: Counter[str] = Counter()
    for value, count in counts.items():
        kinds[kind_of(value)] += count
    empty = kinds.pop("empty", 0)
    numbers = kinds["number"] + kinds["whole number"]
    filled = kinds.total()
    kind = "empty" if not filled else "text"
    if filled and numbers >= _MOSTLY * filled:
        kind = "number" if kinds["number"] else "whole number"
    elif filled and kinds["date"] >= _MOSTLY * filled:
        kind = "date"
    same = numbers if "number" in kind else kinds[kind] if kind == "date" else filled
    examples = [value for value in counts if value][:_EXAMPLES]
    return Column(
        name=name,
        kind=kind,
        distinct=len(counts) - ("" in counts),
        empty=empty,
        others=filled - same,
        examples=examples,
    )


def _column_line(column: Column) -> str:
    more = [f"{column.distinct} distinct"]
    more += [f"{column.empty} empty"] if column.empty else []
    more += [f"{column.others} of another kind"] if column.others else []
    more += [f"such as {', '.join(map(_short, column.examples))}"] if column.examples else []
    return f"  {column.name or '(no name)'}: {column.kind}, {', '.join(more)}"


def _short(text: str) -> str:
    return repr(text if len(text) <= 30 else text[:29] + "…")


def time_span(column: str, clock: Clock, times: Sequence[tuple[int, str]]) -> TimeSpan | None:
    """Summarize the (milliseconds, unit) of rows; None if there are no rows."""
    if not times:
        return None
    days = sorted(Counter(at_ms // _DAY_MS for at_ms, _ in times).values())
    first, last = (_iso(pick(at_ms for at_ms, _ in times)) for pick in (min, max))
    return TimeSpan(
        column=column,
        unit=clock.form,
        units=dict(Counter(unit for _, unit in times).most_common()),
        first=first,
        last=last,
        days=len(days),
        rows_per_day=days[len(days) // 2],
    )


def _iso(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def group_by_reason(unusable: Sequence[UnusableRow]) -> list[LeftOut]:
    """Group the rows that were left out by reason, the most frequent first."""
    by_reason: defaultdict[str, list[UnusableRow]] = defaultdict(list)
    for row in unusable:
        by_reason[row.reason].append(row)
    found = [
        LeftOut(reason=reason, rows=len(each), first_line=min(row.line for row in each), example=_first(each))
        for reason, each in by_reason.items()
    ]
    return sorted(found, key=lambda left: (-left.rows, left.first_line))


def _first(unusable: Sequence[UnusableRow]) -> str:
    return str(min(unusable, key=lambda row: row.line))
