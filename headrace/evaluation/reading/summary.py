"""What was understood of a log, before anything is made of it: for people and for programs."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from msgspec import Struct

from headrace.evaluation.reading.cells import kind_of, value_of
from headrace.evaluation.reading.ids import Known
from headrace.evaluation.reading.table import Fault, Form, Table
from headrace.evaluation.reading.times import Clock

_MOSTLY = 0.9
_DAY_MS = 86_400_000
_EXAMPLES = 3


class Column(Struct, frozen=True, kw_only=True):
    """A column: what most of its cells hold, `others` of them something else, `empty` nothing."""

    name: str
    kind: str
    distinct: int
    empty: int
    others: int
    examples: list[str]


class Span(Struct, frozen=True, kw_only=True):
    """The times of the rows that were read.

    Attributes:
        unit: of most cells; `units`: rows by unit. `first`, `last`: ISO 8601, UTC.
        rows_per_day: the median of days that have rows.
    """

    column: str
    unit: str
    units: dict[str, int]
    first: str
    last: str
    days: int
    rows_per_day: int


class LeftOut(Struct, frozen=True, kw_only=True):
    """Rows that were not used, by the reason."""

    reason: str
    rows: int
    first_line: int
    example: str


class Summary(Struct, frozen=True, kw_only=True):
    """What was understood; `rows` are all, `read` those that are used."""

    file: str
    form: Form
    rows: int
    read: int
    columns: list[Column]
    time: Span | None
    left_out: list[LeftOut]
    items: Known | None = None

    @property
    def lines(self) -> Iterator[str]:
        """For people."""
        form = self.form
        how = [form.kind, form.encoding, "gzipped" if form.gzipped else ""]
        if form.separator:
            how += [
                f"separated by {_SEPARATORS.get(form.separator, form.separator)}",
                _QUOTES[form.quoting],
                "a header" if form.header else "no header",
            ]
        yield f"{self.file}: {', '.join(part for part in how if part)}; {self.read} of {self.rows} rows read"
        yield from (_of_column(column) for column in self.columns)
        if self.time is not None:
            span = self.time
            mixed = (
                f" ({', '.join(f'{rows} {unit}' for unit, rows in span.units.items())})" if len(span.units) > 1 else ""
            )
            yield f"time: {span.column} in {span.unit}{mixed}, {span.first} to {span.last}"
            days = "1 day" if span.days == 1 else f"{span.days} days"
            yield f"      {days} with rows, a median of {span.rows_per_day} a day"
        if self.items is not None:
            yield self.items.line
        for each in self.left_out:
            yield f"left out: {each.rows} row{'s' if each.rows > 1 else ''}: {each.reason}; first {each.example}"


_SEPARATORS = {"\t": "tabs", ",": "commas", ";": "semicolons", "|": "bars", " ": "spaces", "\x01": "the character 1"}
_QUOTES = {
    "none": "no quoting",
    "doubled": "quotes doubled",
    "spaced": "quotes doubled, after spaces",
    "backslash": "quotes behind a backslash",
}


def columns_of(table: Table) -> list[Column]:
    """The columns of a table."""
    return [
        _column(name, [value_of(row.fields[place]) for row in table.rows]) for place, name in enumerate(table.names)
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


def _of_column(column: Column) -> str:
    more = [f"{column.distinct} distinct"]
    more += [f"{column.empty} empty"] if column.empty else []
    more += [f"{column.others} other than that"] if column.others else []
    more += [f"as {', '.join(map(_short, column.examples))}"] if column.examples else []
    return f"  {column.name or '(no name)'}: {column.kind}, {', '.join(more)}"


def _short(text: str) -> str:
    return repr(text if len(text) <= 30 else text[:29] + "…")


def span_of(column: str, clock: Clock, times: Sequence[tuple[int, str]]) -> Span | None:
    """The span of (milliseconds, unit) of rows; None without any."""
    if not times:
        return None
    days = sorted(Counter(at_ms // _DAY_MS for at_ms, _ in times).values())
    first, last = (_iso(pick(at_ms for at_ms, _ in times)) for pick in (min, max))
    return Span(
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


def left_out_of(faults: Sequence[Fault]) -> list[LeftOut]:
    """Rows that were not used, by reason, most first."""
    by_reason: defaultdict[str, list[Fault]] = defaultdict(list)
    for fault in faults:
        by_reason[fault.reason].append(fault)
    found = [
        LeftOut(reason=reason, rows=len(each), first_line=min(fault.line for fault in each), example=_first(each))
        for reason, each in by_reason.items()
    ]
    return sorted(found, key=lambda left: (-left.rows, left.first_line))


def _first(faults: Sequence[Fault]) -> str:
    return str(min(faults, key=lambda fault: fault.line))
