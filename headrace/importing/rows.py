"""The rows of an opened file as objects, by its mapping: each column read as what it fills, constants added."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypeAlias

import pyarrow as pa

from headrace.importing.cells import ColumnKind, ColumnReader, Values
from headrace.importing.files import Skipped, Table
from headrace.importing.mapping import ColumnMapping

_CLOCK_BATCHES = 50
Row: TypeAlias = dict[str, Any]


class RowReader:
    """Reads the rows of one file.

    A column of times has one clock, which the first values of the file decide, wherever reading begins.
    """

    def __init__(self, table: Table, mapping: ColumnMapping, kinds: Mapping[str, ColumnKind]) -> None:
        self._table = table
        self._sources = [*mapping.columns.values()]
        self._names = [*mapping.columns, *mapping.constants]
        self._readers = [ColumnReader(source, _kind(name, kinds)) for name, source in mapping.columns.items()]
        self._constants = [
            ColumnReader(name, _kind(name, kinds)).read_constant(value) for name, value in mapping.constants.items()
        ]
        self._values = mapping.values
        self._has_clocks = False

    def read(self, first: int, skipped: Skipped) -> Iterator[list[Row]]:
        """The rows from a number on, counted from 0, in batches.

        Raises:
            UsageProblem: a column cannot be read as what it fills, or its times have no known unit.
            OSError, ValueError: the file is damaged.
        """
        if not self._has_clocks:
            self._detect_clocks()
            self._has_clocks = True
        for batch in self._table.batches([*dict.fromkeys(self._sources)], first, skipped):
            columns = [
                reader.read(batch.column(source)) for reader, source in zip(self._readers, self._sources, strict=True)
            ]
            for index, name in enumerate(self._names[: len(columns)]):
                if texts := self._values.get(name):
                    columns[index] = [
                        texts.get(each, each) if isinstance(each, str) else each for each in columns[index]
                    ]
            columns += [[value] * batch.num_rows for value in self._constants]
            yield _rows(batch.num_rows, self._names, columns)

    def _detect_clocks(self) -> None:
        pending = [
            (reader, source) for reader, source in zip(self._readers, self._sources, strict=True) if reader.is_time
        ]
        if not pending:
            return
        batches = self._table.batches([*dict.fromkeys(source for _, source in pending)], 0, _ignore)
        found: list[pa.RecordBatch] = list(islice(batches, _CLOCK_BATCHES))
        for reader, source in pending:
            reader.detect_clock(batch.column(source) for batch in found)


def _ignore(_: str, __: str, ___: int) -> None:
    """Lines that are skipped are reported when their rows are read."""


def _kind(name: str, kinds: Mapping[str, ColumnKind]) -> ColumnKind:
    return kinds.get(name, "text")  # an entry of a map is a text


def _rows(count: int, names: Sequence[str], columns: Sequence[Values]) -> list[Row]:
    """Rows as objects without their missing values; `context.country` becomes an entry of the map `context`."""
    rows: list[Row] = [{} for _ in range(count)]
    for name, values in zip(names, columns, strict=True):
        column, _, entry = name.partition(".")
        for row, value in zip(rows, values, strict=True):
            if value is None:
                continue
            if entry:
                row.setdefault(column, {})[entry] = value
            else:
                row[column] = value
    return rows
