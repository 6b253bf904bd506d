"""The import of one file: rows to records, checked, written and resumed; what is refused goes to a file."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from headrace.errors import UsageProblem
from headrace.importing.cells import ColumnReader, Kind, rows_of
from headrace.importing.files import DataFile, Skipped, Table, open_table
from headrace.importing.mapping import Mapping, resolve
from headrace.importing.records import RefusedRow, RowMaker
from headrace.store.resumable_writer import OutgoingRecord, ResumableWriter

_QUOTED = 3


class RefusedLine(Struct, frozen=True):
    """A row that was not imported, and why.

    `row` counts from 1 the rows that have as many fields as the header. `values` are those that were mapped; of a row
    with another number of fields, its line.
    """

    file: str
    row: int | None
    reason: str
    values: dict[str, Any]

    def __str__(self) -> str:
        """Text for reports."""
        where = f"row {self.row}" if self.row else repr(self.values["line"])
        return f"{self.file}, {where}: {self.reason}"


class Batch(Struct, frozen=True):
    """The records of some rows, the refused ones, and the number of rows up to their end."""

    records: list[OutgoingRecord]
    refused: list[RefusedLine]
    rows: int


class Outcome(Struct, kw_only=True):
    """What became of the rows of all files. `before`: they had been imported by an earlier run."""

    before: int = 0
    written: int = 0
    refused: Counter[str] = msgspec.field(default_factory=Counter[str])
    quoted: list[RefusedLine] = msgspec.field(default_factory=list[RefusedLine])

    def count(self, batch: Batch) -> None:
        """Add a batch that is written."""
        self.written += len(batch.records)
        for each in batch.refused:
            self.refused[each.reason.partition(":")[0]] += 1
            if len(self.quoted) < _QUOTED:
                self.quoted.append(each)


class FileImport:
    """One file on its way into a topic."""

    def __init__(self, file: DataFile, maker: RowMaker, mapping: Mapping) -> None:
        """Open the file and complete the mapping.

        Raises:
            UsageProblem: the file cannot be read, or lacks a column.
        """
        self.file = file
        self._maker = maker
        self._table: Table = open_table(file)
        self._mapping = _resolve(mapping, self._table, maker, file.name)

    @property
    def rows(self) -> int | None:
        """Number of rows; None before the file has been read."""
        return self._table.rows

    def batches(self, first: int) -> Iterator[Batch]:
        """The rows from a number on, counted from 0, as batches of records.

        Raises:
            UsageProblem: the file is damaged, or a column's type cannot be read.
        """
        skipped: list[RefusedLine] = []

        def skip(line: str, reason: str) -> None:
            skipped.append(RefusedLine(self.file.name, None, f"fields: {reason}", {"line": line}))

        at = first
        for rows in self._rows(first, skip):
            batch = self._batch(rows, at)
            at = batch.rows
            batch.refused[:0], skipped[:] = skipped, []
            yield batch
        if skipped:
            yield Batch([], skipped, at)

    def check(self) -> None:
        """Check the first rows: a wrong mapping refuses nearly all of them.

        Raises:
            UsageProblem: more than half of them are refused, or there is none.
        """
        first = next(self.batches(0), None)
        if first is None:
            message = f"{self.file.name} has no rows"
            raise UsageProblem(message)
        if len(first.refused) > len(first.records):
            number = len(first.refused) + len(first.records)
            why = "; ".join(str(each) for each in first.refused[:_QUOTED])
            message = f"{len(first.refused)} of the first {number} rows cannot be used: {why}. Is --map right?"
            raise UsageProblem(message)

    def _rows(self, first: int, skipped: Skipped) -> Iterator[list[dict[str, Any]]]:
        kinds: dict[str, Kind] = {target.name: target.kind for target in self._maker.targets}
        names, sources = [*self._mapping.columns], [*dict.fromkeys(self._mapping.columns.values())]
        readers = [ColumnReader(source, kinds.get(name, "text")) for name, source in self._mapping.columns.items()]
        try:
            for batch in self._table.batches(sources, first, skipped):
                columns = [
                    reader.read(batch.column(source))
                    for reader, source in zip(readers, self._mapping.columns.values(), strict=True)
                ]
                yield rows_of(names, columns)
        except (OSError, ValueError) as error:  # pyarrow's errors are among them
            message = f"{self.file.path} cannot be read: {error}; is the file complete?"
            raise UsageProblem(message) from error

    def _batch(self, rows: Sequence[dict[str, Any]], first: int) -> Batch:
        records: list[OutgoingRecord] = []
        refused: list[RefusedLine] = []
        constants = rows_of([*self._mapping.constants], [[value] for value in self._mapping.constants.values()])
        for number, row in enumerate(rows, first):
            values = {**constants[0], **row} if constants else row
            try:
                records.append(self._maker.record(values, f"{self.file.fingerprint}-{number}"))
            except RefusedRow as error:
                refused.append(RefusedLine(self.file.name, number + 1, str(error), values))
        return Batch(records, refused, first + len(rows))


def _resolve(mapping: Mapping, table: Table, maker: RowMaker, file: str) -> Mapping:
    targets = [target.name for target in maker.targets]
    maps = [target.name for target in maker.targets if target.kind == "map"]
    found = resolve(mapping, names=table.names, targets=targets, maps=maps, file=file)
    filled = {*found.columns, *found.constants}
    if lacking := [each.name for each in maker.targets if each.required and each.name not in filled]:
        example = ",".join(f"{name}=…" for name in lacking)
        message = (
            f"nothing fills {', '.join(lacking)}: {file} has the columns {', '.join(table.names)}; "
            f"write --map {example}, or --set {lacking[0]}=… for a constant"
        )
        raise UsageProblem(message)
    return found


def import_file(
    opened: FileImport,
    writer: ResumableWriter,
    outcome: Outcome,
    *,
    topic: str,
    refused_rows: Path,
    before_each: Callable[[int], None],
) -> None:
    """Write what is left of a file.

    Args:
        opened: the file.
        writer: of this file.
        outcome: counts what becomes of the rows.
        topic: the position is kept under its partition 0.
        refused_rows: the file to which refused rows are appended as JSON lines.
        before_each: called with the number of rows done before each batch; it may wait.
    """
    position = (topic, 0)
    first = writer.positions([position]).get(position, 0)
    outcome.before += first
    before_each(first)
    for batch in opened.batches(first):
        if batch.refused:
            _append(refused_rows, batch.refused)
        writer.write(batch.records, {position: batch.rows})
        outcome.count(batch)
        before_each(batch.rows)


def _append(path: Path, refused: Sequence[RefusedLine]) -> None:
    """Append lines before their rows are counted as done: after a failure some may be there twice, none is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.writelines(msgspec.json.encode(each, enc_hook=str) + b"\n" for each in refused)
