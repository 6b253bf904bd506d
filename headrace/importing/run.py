"""The import of one file: rows to records, checked, written and resumed; what is refused goes to a file."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from headrace.errors import UsageProblem
from headrace.importing.files import DataFile, Table, open_table
from headrace.importing.mapping import ColumnMapping, resolve
from headrace.importing.records import RefusedRow, RowMaker
from headrace.importing.rows import Row, RowReader
from headrace.store.kafka.resumable_writer import OutgoingRecord, ResumableWriter

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


class ImportCounts(Struct, kw_only=True):
    """Rows of all files that were written, refused, or imported by an earlier run (`before`)."""

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

    def __init__(self, file: DataFile, maker: RowMaker, mapping: ColumnMapping) -> None:
        """Open the file and complete the mapping.

        Raises:
            UsageProblem: the file cannot be read, or lacks a column.
        """
        self.file = file
        self._maker = maker
        self._table: Table = open_table(file)
        self._mapping = _resolve(mapping, self._table, maker, file.name)
        self._rows = RowReader(self._table, self._mapping, {target.name: target.kind for target in maker.targets})

    @property
    def rows(self) -> int | None:
        """Number of rows; None before the file has been read."""
        return self._table.rows

    @property
    def name(self) -> str:
        """The name under which the import is resumed: of the file's content and of its mapping."""
        return f"{self.file.fingerprint}-{self._mapping.fingerprint}"

    def batches(self, first: int) -> Iterator[Batch]:
        """The rows from a number on, counted from 0, as batches of records.

        Raises:
            UsageProblem: the file is damaged, or a column's type cannot be read.
        """
        skipped: list[RefusedLine] = []

        def skip(line: str, reason: str, row: int) -> None:
            if row >= first:
                skipped.append(RefusedLine(self.file.name, None, f"fields: {reason}", {"line": line}))

        at = first
        try:
            for rows in self._rows.read(first, skip):
                batch = self._batch(rows, at)
                at = batch.rows
                batch.refused[:0], skipped[:] = skipped, []
                yield batch
        except (OSError, ValueError) as error:  # pyarrow's errors are among them
            message = f"{self.file.path} cannot be read: {error}; is the file complete?"
            raise UsageProblem(message) from error
        if skipped and at > first:
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
        refused = [each for each in first.refused if each.row]
        if len(refused) > len(first.records):
            why = "; ".join(str(each) for each in refused[:_QUOTED])
            message = f"{len(refused)} of the first {first.rows} rows cannot be used: {why}. Is --map right?"
            raise UsageProblem(message)

    def _batch(self, rows: Sequence[Row], first: int) -> Batch:
        records: list[OutgoingRecord] = []
        refused: list[RefusedLine] = []
        for number, row in enumerate(rows, first):
            try:
                records.append(self._maker.record(row, f"{self.name}-{number}"))
            except RefusedRow as error:
                refused.append(RefusedLine(self.file.name, number + 1, str(error), row))
        return Batch(records, refused, first + len(rows))


def _resolve(mapping: ColumnMapping, table: Table, maker: RowMaker, file: str) -> ColumnMapping:
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
    counts: ImportCounts,
    *,
    topic: str,
    refused_rows: Path,
    before_each: Callable[[int], None],
) -> None:
    """Write what is left of a file.

    Args:
        opened: the file.
        writer: of this file.
        counts: counts what becomes of the rows.
        topic: the position is kept under its partition 0.
        refused_rows: the file to which refused rows are appended as JSON lines.
        before_each: called with the number of rows done before each batch; it may wait.
    """
    position = (topic, 0)
    first = writer.positions([position]).get(position, 0)
    counts.before += first
    before_each(first)
    for batch in opened.batches(first):
        if batch.refused:
            _append(refused_rows, batch.refused)
        writer.write(batch.records, {position: batch.rows})
        counts.count(batch)
        before_each(batch.rows)


def _append(path: Path, refused: Sequence[RefusedLine]) -> None:
    """Append lines before their rows are counted as done: after a failure some may be there twice, none is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        # Python's encoder escapes what is not text: bytes that could not be decoded
        file.writelines(json.dumps(msgspec.to_builtins(each), default=str).encode() + b"\n" for each in refused)
