"""Read any log as a recording, by the names of its columns; rows that cannot be read are counted and reported."""

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from msgspec import Struct, structs

from headrace.errors import UsageProblem
from headrace.evaluation.items import ItemDetails
from headrace.evaluation.other_labels import OtherLabel, others_of, words_of, zero_or_one
from headrace.reading import summary, table
from headrace.reading.cells import kind_of, value_of
from headrace.reading.ids import match_ids
from headrace.reading.summary import Summary
from headrace.reading.table import Table, UnusableRow
from headrace.reading.times import Clock, detect_clock
from headrace.replay.recordings import Feedback, Recording, Visit, in_sessions
from headrace.schemas.catalogue import Item
from headrace.schemas.model.heads import SHIPPED_HEADS, Head, Heads

QUOTED = 3  # faulty rows quoted in reports
_MOSTLY = 0.9  # share of a column's cells that must be numbers for it to be binned
_BINS = 10  # quantile bins of a numeric column, by the first rows
_NONE = "none"


class Columns(Struct, frozen=True, kw_only=True):
    """The log's columns, by their names in its header, or by their numbers from 1 if it has none.

    Attributes:
        label: column of 0 and 1; None if each row is a positive.
        at_least: if not None, the label is a number, and 1 from this one on.
        others: columns of the labels of other heads.
        item_features: columns of the item that were known before the event.
    """

    user: str
    item: str
    time: str
    label: str | None = None
    at_least: float | None = None
    session: str | None = None
    slate: str | None = None
    others: tuple[OtherLabel, ...] = ()
    item_features: tuple[str, ...] = ()

    @property
    def required(self) -> list[str]:
        """The columns that the log must have."""
        named = (self.user, self.item, self.time, self.label, self.session, self.slate)
        others = (each.column for each in self.others)
        return [*(name for name in named if name is not None), *others, *self.item_features]


class Log(Struct, frozen=True):
    """A log in the order of time, ties in file order.

    Attributes:
        slates: slate of each visit, "" if it has none.
        labels: of each visit, the labels of the other heads that the log has, by head.
        rows: number of data lines.
        faults: why rows could not be read, with their line numbers.
        varied: number of items whose feature columns differ between rows; the first row's are used.
        summary: how the file was read.
    """

    recording: Recording
    slates: list[str]
    labels: list[dict[str, float]]
    rows: int
    faults: list[str]
    varied: int
    summary: Summary


class _Row(Struct, frozen=True, kw_only=True):
    user: str
    item: str
    at_ms: int
    unit: str
    positive: bool
    session: str
    slate: str
    labels: dict[str, float]
    item_features: tuple[str, ...]


_REQUIRED, _OPTIONAL = ("user", "item", "time"), ("label", "session", "slate")


def parse_columns(mapping: str, item_features: Sequence[str], heads: Heads = SHIPPED_HEADS) -> Columns:
    """Parse `user=…,item=…,time=…[,label=…][,session=…][,slate=…]` into columns; a label may be `COLUMN>=NUMBER`.

    `heads`: those of the ranker; a column may also be mapped to the name of one that is not the score head.

    Raises:
        UsageProblem: a part is not `word=column`, a word is unknown, user, item or time is missing, or a label is
            compared with something that is no number.
    """
    pairs = [part.partition("=") for part in mapping.split(",")]
    given = {word.strip(): name.strip() for word, _, name in pairs}
    words = (*_REQUIRED, *_OPTIONAL)
    optional = (*_OPTIONAL, *words_of(heads, words))
    if not all(given.values()) or not given.keys() <= {*_REQUIRED, *optional} or not given.keys() >= {*_REQUIRED}:
        written = [",".join(f"{word}=…" for word in _REQUIRED), ", ".join(f"{word}=…" for word in optional)]
        message = f"--map is {mapping!r}; write {written[0]}, and optionally {written[1]}"
        raise UsageProblem(message)
    columns = {word: given[word] for word in words if word in given}
    others = others_of(heads, {word: given[word] for word in optional[len(_OPTIONAL) :] if word in given})
    at_least = None
    if ">=" in columns.get("label", ""):
        columns["label"], at_least = _comparison(columns["label"])
    return Columns(**columns, at_least=at_least, others=others, item_features=tuple(item_features))


def _comparison(label: str) -> tuple[str, float]:
    """The column and the number of `COLUMN>=NUMBER`."""
    column, _, number = (part.strip() for part in label.partition(">="))
    if not column or kind_of(number) not in ("whole number", "number"):
        message = f"--map has label={label}; write label=COLUMN, of 0 and 1, or label=COLUMN>=NUMBER, as in rating>=4"
        raise UsageProblem(message)
    return column, float(number)


def read(
    path: Path,
    columns: Columns,
    *,
    warm_share: float,
    details: Mapping[str, ItemDetails] | None = None,
    head: Head = SHIPPED_HEADS.score,
) -> Log:
    """Read a whole log.

    Args:
        path: delimited text, gzipped or not, or Parquet.
        columns: the log's columns.
        warm_share: share of the rows, the first by time, that determine the bins of numeric item features.
        details: more about the items, by id.
        head: the score head, whose positives the positive rows are: features see an event of its first type.

    Raises:
        UsageProblem: the file or a column does not exist, its times have no known unit, or no row could be read.
    """
    found = table.read(path, columns.required)
    clock = _clock(path, found, columns.time)
    rows, unusable = _rows(path, found, columns=columns, clock=clock)
    items, varied = _items(rows, columns, warm_share=warm_share, details=details or {})
    summarized = Summary(
        file=path.name,
        form=found.form,
        rows=len(rows) + len(unusable),
        read=len(rows),
        columns=summary.describe_columns(found),
        time=summary.time_span(columns.time, clock, [(row.at_ms, row.unit) for row in rows]),
        left_out=summary.group_by_reason(unusable),
        items=None if details is None else match_ids(items, details),
    )
    recording, faults = Recording(list(items.values()), _visits(rows, head)), [str(row) for row in unusable]
    slates, labels = [row.slate for row in rows], [row.labels for row in rows]
    return Log(recording, slates, labels, summarized.rows, faults, varied, summarized)


def positives_of(log: Log) -> Log:
    """The log without the rows whose label is 0."""
    visits = log.recording.visits
    kept = [index for index, visit in enumerate(visits) if visit.feedback]
    return structs.replace(
        log,
        recording=Recording(log.recording.items, [visits[index] for index in kept]),
        slates=[log.slates[index] for index in kept],
        labels=[log.labels[index] for index in kept],
    )


def _clock(path: Path, found: Table, column: str) -> Clock:
    index = found.index_of(column)
    try:
        return detect_clock([value for row in found.rows if (value := value_of(row.fields[index]))])
    except ValueError as error:
        message = f"{path}: the times in {column} cannot be read: {error}"
        raise UsageProblem(message) from error


def _rows(path: Path, found: Table, *, columns: Columns, clock: Clock) -> tuple[list[_Row], list[UnusableRow]]:
    """The rows by time, ties in file order, and those that could not be read, in file order."""
    rows: list[_Row] = []
    unusable = list(found.unusable)
    indexes = {name: found.index_of(name) for name in columns.required}
    for line in found.rows:
        row = _row({name: value_of(line.fields[index]) for name, index in indexes.items()}, columns, clock)
        if isinstance(row, _Row):
            rows.append(row)
        else:
            unusable.append(structs.replace(row, line=line.line))
    unusable.sort(key=lambda row: row.line)
    timeless = [row for row in unusable if row.reason == _NO_TIME]
    if len(timeless) > len(rows):
        why = f"{len(timeless)} of {len(rows) + len(unusable)} rows have no readable time in {columns.time}"
        message = f"{path}: {why}: {timeless[0]}"
        raise UsageProblem(message)
    if not rows:
        quoted = "; ".join(str(row) for row in unusable[:QUOTED])
        why = f"none of {len(unusable)} rows could be read: {quoted}" if unusable else "there are no rows"
        message = f"{path}: {why}"
        raise UsageProblem(message)
    return sorted(rows, key=lambda row: row.at_ms), unusable


_NO_TIME, _NO_LABEL, _NO_OTHER = "no readable time", "no readable label", "no label of another head"


def _is_positive(label: str, at_least: float | None) -> bool | None:
    """Whether a label is positive; None if it cannot be read."""
    if at_least is not None:
        return float(label) >= at_least if kind_of(label) in ("whole number", "number") else None
    read_as = zero_or_one(label)
    return None if read_as is None else read_as > 0


def _row(record: Mapping[str, str], columns: Columns, clock: Clock) -> _Row | UnusableRow:
    """Parse a record into a row, or say why it is unusable, without the line number."""
    user, item = record[columns.user], record[columns.item]
    if not user or not item:
        return UnusableRow(0, f"no {'item' if user else 'user'}")
    label = record[columns.label] if columns.label else "1"
    positive = _is_positive(label, columns.at_least)
    if positive is None:
        expected = "0 or 1" if columns.at_least is None else "a number"
        return UnusableRow(0, _NO_LABEL, f"the label is {label!r}, {expected} is expected")
    try:
        at_ms, unit = clock.parse(record[columns.time])
    except ValueError as error:
        return UnusableRow(0, _NO_TIME, str(error))
    try:
        labels = {each.head.name: each.label(record[each.column]) for each in columns.others}
    except ValueError as error:
        return UnusableRow(0, _NO_OTHER, str(error))
    return _Row(
        user=user,
        item=item,
        at_ms=at_ms,
        unit=unit,
        positive=positive,
        session=record[columns.session] if columns.session else "",
        slate=record[columns.slate] if columns.slate else "",
        labels=labels,
        item_features=tuple(record[name] for name in columns.item_features),
    )


def _items(
    rows: Sequence[_Row], columns: Columns, *, warm_share: float, details: Mapping[str, ItemDetails]
) -> tuple[dict[str, Item], int]:
    """The items by their first rows, and how many have features that differ between rows."""
    edges = _bin_edges(rows[: math.ceil(len(rows) * warm_share)], len(columns.item_features))
    items: dict[str, Item] = {}
    varied: set[str] = set()
    unknown = ItemDetails()
    for row in rows:
        known = details.get(row.item, unknown)
        parts = [known.category, *(_category(text, bins) for text, bins in zip(row.item_features, edges, strict=True))]
        category = "|".join(part for part in parts if part) or _NONE
        new = Item(item_id=row.item, category=category, title=known.title, tags=known.tags, born_at=row.at_ms)
        if items.setdefault(row.item, new).category != category:
            varied.add(row.item)
    return items, len(varied)


def _bin_edges(rows: Sequence[_Row], count: int) -> list[list[float] | None]:
    """Bin edges of each item feature; None for a feature that is not mostly numbers."""
    found: list[list[float] | None] = []
    for index in range(count):
        filled = [row.item_features[index] for row in rows if row.item_features[index]]
        numbers = [float(text) for text in filled if kind_of(text) in ("whole number", "number")]
        if len(numbers) < _MOSTLY * len(filled):
            found.append(None)
            continue
        nonzero = [number for number in numbers if number and math.isfinite(number)]
        quantiles = np.quantile(nonzero, np.arange(1, _BINS) / _BINS).tolist() if nonzero else []
        found.append(sorted(set(quantiles)))
    return found


def _category(text: str, edges: list[float] | None) -> str:
    """An item feature's value as part of the category; 0 and empty share a separate bin."""
    if edges is None or kind_of(text) in ("text", "date"):
        return text
    number = float(text or 0)
    return str(bisect_left(edges, number) + 1) if number and math.isfinite(number) else "0"


def _visits(rows: Sequence[_Row], head: Head) -> list[Visit]:
    records = [(row.user, row.item, row.at_ms, _feedback(row, head)) for row in rows]
    return [
        structs.replace(visit, session_id=f"{row.user}-{row.session}") if row.session else visit
        for visit, row in zip(in_sessions(records), rows, strict=True)
    ]


def _feedback(row: _Row, head: Head) -> Feedback:
    return ((head.events[0], head.at_least),) if row.positive else ()
