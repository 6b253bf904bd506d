"""The files of an import, in folders or buckets too, and their rows as record batches from a given row on."""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b
from itertools import accumulate
from pathlib import PurePosixPath
from typing import TypeAlias

import pyarrow as pa
from msgspec import Struct
from pyarrow import csv, fs, parquet

from headrace.errors import UsageProblem
from headrace.reading.contents import encoding_of, refuse_other_formats
from headrace.reading.dialect import detect_rows
from headrace.reading.rows import split_lines
from headrace.store.location import LocationProblem, parse_location

ROWS = 2_000
"""Of a batch."""
_EDGE_BYTES = 1 << 16
_CSV_BLOCK_BYTES = 1 << 20
_PARQUET, _GZIP = b"PAR1", b"\x1f\x8b"
_HIDDEN = (".", "_")  # _SUCCESS, _temporary, .crc: what jobs leave in folders
Skipped: TypeAlias = Callable[[str, str, int], None]
"""Called with a line that has another number of fields than the header, why it is skipped, and the rows before it."""


class DataFile(Struct, frozen=True, kw_only=True):
    """A file to import; `fingerprint` identifies its content, wherever it is."""

    filesystem: fs.FileSystem
    path: str
    size: int
    fingerprint: str

    @property
    def name(self) -> str:
        """The last part of its path."""
        return PurePosixPath(self.path).name


def find_files(locations: Sequence[str]) -> list[DataFile]:
    """The files at these paths or URIs, those of a folder by name.

    Raises:
        UsageProblem: there is nothing at one of them, or it cannot be read.
    """
    return [each for location in locations for each in _at(location)]


def _at(location: str) -> Iterator[DataFile]:
    try:
        filesystem, path = (found := parse_location(location)).filesystem, found.path
        with found.explained():
            info = filesystem.get_file_info(path)
        if info.type == fs.FileType.NotFound:
            message = f"there is no file or folder {location}"
            raise UsageProblem(message)
        infos = found.files() if info.type == fs.FileType.Directory else [info]
        files = [each for each in infos if each.size and not _is_hidden(each.path.removeprefix(path))]
        if not files:
            message = f"{location} holds no file with content; name CSV or Parquet files, or a folder of them"
            raise UsageProblem(message)
        for each in sorted(files, key=lambda file: file.path):
            yield DataFile(
                filesystem=filesystem,
                path=each.path,
                size=each.size,
                fingerprint=_fingerprint(filesystem, each.path, each.size),
            )
    except LocationProblem:
        raise
    except OSError as error:
        message = f"{location} cannot be read: {error}"
        raise UsageProblem(message) from error


def _is_hidden(below: str) -> bool:
    """Whether a file, or a folder that it is in, is hidden: by its path below the location."""
    return any(part.startswith(_HIDDEN) for part in below.split("/") if part)


def _fingerprint(filesystem: fs.FileSystem, path: str, size: int) -> str:
    """A hash of the size and of both ends: Parquet's end describes all of it."""
    digest = blake2b(str(size).encode(), digest_size=8)
    with filesystem.open_input_file(path) as file:
        digest.update(file.read(_EDGE_BYTES))
        file.seek(max(size - _EDGE_BYTES, 0))
        digest.update(file.read(_EDGE_BYTES))
    return digest.hexdigest()


class Table(Struct, frozen=True, kw_only=True):
    """An opened file: the names of its columns, its number of rows if that is known, and a reader of its batches.

    Attributes:
        batches: from (columns, first row, skipped) to batches of these columns, of at most `ROWS` rows.
    """

    names: list[str]
    rows: int | None
    batches: Callable[[list[str], int, Skipped], Iterator[pa.RecordBatch]]


def open_table(file: DataFile) -> Table:
    """Open a file; its content decides what it is.

    Raises:
        UsageProblem: it is neither Parquet nor delimited text with a header, or it is damaged.
    """
    try:
        with file.filesystem.open_input_file(file.path) as opened:
            head = opened.read(_EDGE_BYTES)
        table = _parquet(file) if head.startswith(_PARQUET) else _delimited(file, gzipped=head.startswith(_GZIP))
    except (pa.ArrowException, OSError, ValueError) as error:
        message = f"{file.path} cannot be read: {error}; CSV or Parquet is expected: is the file complete?"
        raise UsageProblem(message) from error
    if twice := next((name for name in table.names if table.names.count(name) > 1), None):
        message = f"{file.path} has {table.names.count(twice)} columns named {twice!r}: rename all but one"
        raise UsageProblem(message)
    return table


def _parquet(file: DataFile) -> Table:
    with parquet.ParquetFile(file.filesystem.open_input_file(file.path)) as opened:
        counts = [opened.metadata.row_group(number).num_rows for number in range(opened.num_row_groups)]
        names = opened.schema_arrow.names

    def batches(columns: list[str], first: int, _: Skipped) -> Iterator[pa.RecordBatch]:
        ends = [*accumulate(counts)]
        done = bisect_right(ends, first)  # row groups that lie before the first row
        skip = first - (ends[done - 1] if done else 0)
        with parquet.ParquetFile(file.filesystem.open_input_file(file.path)) as opened:
            groups = [*range(done, len(ends))]
            yield from _after(opened.iter_batches(ROWS, row_groups=groups, columns=columns), skip)

    return Table(names=names, rows=sum(counts), batches=batches)


def _after(batches: Iterator[pa.RecordBatch], skip: int) -> Iterator[pa.RecordBatch]:
    """The batches without their first `skip` rows, none longer than `ROWS`."""
    for batch in batches:
        rest = batch.slice(min(skip, batch.num_rows))
        skip = max(skip - batch.num_rows, 0)
        for start in range(0, rest.num_rows, ROWS):
            yield rest.slice(start, ROWS)


def _delimited(file: DataFile, *, gzipped: bool) -> Table:
    compression = "gzip" if gzipped else None
    with file.filesystem.open_input_stream(file.path, compression=compression) as stream:
        head = stream.read(_EDGE_BYTES)
    encoding = encoding_of(head)
    text = head.decode(encoding, errors="replace").removeprefix("\ufeff")
    refuse_other_formats(file.path, head, text)
    lines = split_lines(text)
    lines = lines[:-1] if len(head) == _EDGE_BYTES and len(lines) > 1 else lines  # the last one may be cut
    found, dialect = detect_rows(lines, ())
    if not found.rows or len(dialect.separator) > 1:
        message = f"its columns are separated by {dialect.separator!r}; write them with a comma, a tab or ; between"
        raise ValueError(message)
    names = [name.strip() for name in found.rows[0].fields]
    # A writer that quotes only where it must may not have done so yet. Stray quotes show that quotes are letters.
    quoted = dialect.quoting != "none" or '"' not in text
    parse = csv.ParseOptions(
        delimiter=dialect.separator,
        quote_char='"' if quoted else False,
        double_quote=dialect.quoting != "backslash",
        escape_char="\\" if dialect.quoting == "backslash" else False,
        newlines_in_values=quoted,
    )
    read = csv.ReadOptions(
        use_threads=False, block_size=_CSV_BLOCK_BYTES, column_names=names, skip_rows=1, encoding=encoding
    )

    def batches(columns: list[str], first: int, skipped: Skipped) -> Iterator[pa.RecordBatch]:
        parse.invalid_row_handler = _InvalidRows(skipped)
        convert = csv.ConvertOptions(include_columns=columns, column_types=dict.fromkeys(columns, pa.binary()))
        with file.filesystem.open_input_stream(file.path, compression=compression) as stream:
            yield from _after(iter(csv.open_csv(stream, read, parse, convert)), first)

    return Table(names=names, rows=None, batches=batches)


class _InvalidRows:
    """Reports rows with another number of fields than the header, and skips them."""

    def __init__(self, skipped: Skipped) -> None:
        self._skipped, self._count = skipped, 0

    def __call__(self, row: csv.InvalidRow) -> str:
        rows_before = (row.number or 2) - 2 - self._count  # the header is row 1
        self._count += 1
        self._skipped(row.text, f"{row.actual_columns} fields, {row.expected_columns} in the header", rows_before)
        return "skip"
