"""The files of an import, in folders or buckets too, and their rows as record batches from a given row on."""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b
from itertools import accumulate
from pathlib import PurePosixPath

import pyarrow as pa
from msgspec import Struct
from pyarrow import csv, fs, parquet

from headrace.errors import UsageProblem
from headrace.locations import parse_location
from headrace.reading.dialect import detect_rows
from headrace.reading.rows import split_lines

ROWS = 2_000
"""Of a batch."""
_EDGE_BYTES = 1 << 16
_CSV_BLOCK_BYTES = 1 << 20
_PARQUET, _GZIP, _UTF_16 = b"PAR1", b"\x1f\x8b", (b"\xff\xfe", b"\xfe\xff")
_HIDDEN = (".", "_")  # _SUCCESS, .crc and their like, which jobs leave in folders
Skipped = Callable[[str, str], None]
"""Called with a line that has another number of fields than the header, and why it is skipped."""


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
        info = filesystem.get_file_info(path)
        if info.type == fs.FileType.NotFound:
            message = f"there is no file or folder {location}"
            raise UsageProblem(message)
        infos = found.files() if info.type == fs.FileType.Directory else [info]
        files = [each for each in infos if each.size and not each.base_name.startswith(_HIDDEN)]
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
    except OSError as error:
        message = f"{location} cannot be read: {error}"
        raise UsageProblem(message) from error


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
        return _parquet(file) if head.startswith(_PARQUET) else _delimited(file, head)
    except (pa.ArrowException, OSError, ValueError) as error:
        message = f"{file.path} cannot be read: {error}; CSV or Parquet is expected: is the file complete?"
        raise UsageProblem(message) from error


def _parquet(file: DataFile) -> Table:
    opened = parquet.ParquetFile(file.filesystem.open_input_file(file.path))

    def batches(columns: list[str], first: int, _: Skipped) -> Iterator[pa.RecordBatch]:
        counts = (opened.metadata.row_group(number).num_rows for number in range(opened.num_row_groups))
        ends = [*accumulate(counts)]
        done = bisect_right(ends, first)  # row groups that lie before the first row
        groups = [*range(done, len(ends))]
        skip = first - (ends[done - 1] if done else 0)
        yield from _after(opened.iter_batches(ROWS, row_groups=groups, columns=columns), skip)

    return Table(names=opened.schema_arrow.names, rows=opened.metadata.num_rows, batches=batches)


def _after(batches: Iterator[pa.RecordBatch], skip: int) -> Iterator[pa.RecordBatch]:
    """The batches without their first `skip` rows, none longer than `ROWS`."""
    for batch in batches:
        rest = batch.slice(min(skip, batch.num_rows))
        skip = max(skip - batch.num_rows, 0)
        for start in range(0, rest.num_rows, ROWS):
            yield rest.slice(start, ROWS)


def _delimited(file: DataFile, head: bytes) -> Table:
    gzipped = head.startswith(_GZIP)
    with file.filesystem.open_input_stream(file.path, compression="gzip" if gzipped else None) as stream:
        head = stream.read(_EDGE_BYTES)
    encoding = "utf-16" if head.startswith(_UTF_16) else "utf-8"
    lines = split_lines(head.decode(encoding, errors="replace").removeprefix("\ufeff"))
    lines = lines[:-1] if len(head) == _EDGE_BYTES and len(lines) > 1 else lines  # the last one may be cut
    found, dialect = detect_rows(lines, ())
    if not found.rows or len(dialect.separator) > 1:
        message = f"its columns are separated by {dialect.separator!r}; write them with a comma, a tab or ; between"
        raise ValueError(message)
    names = [name.strip() for name in found.rows[0].fields]
    quote = dialect.quoting != "none" and '"'

    def batches(columns: list[str], first: int, skipped: Skipped) -> Iterator[pa.RecordBatch]:
        def leave_out(row: csv.InvalidRow) -> str:
            skipped(row.text, f"{row.actual_columns} fields, {row.expected_columns} in the header")
            return "skip"

        with file.filesystem.open_input_stream(file.path, compression="gzip" if gzipped else None) as stream:
            reader = csv.open_csv(
                stream,
                csv.ReadOptions(
                    use_threads=False, block_size=_CSV_BLOCK_BYTES, column_names=names, skip_rows=1, encoding=encoding
                ),
                csv.ParseOptions(
                    delimiter=dialect.separator,
                    quote_char=quote,
                    double_quote=dialect.quoting != "backslash",
                    escape_char="\\" if dialect.quoting == "backslash" else False,
                    newlines_in_values=bool(quote),
                    invalid_row_handler=leave_out,
                ),
                csv.ConvertOptions(include_columns=columns, column_types=dict.fromkeys(columns, pa.binary())),
            )
            yield from _after(iter(reader), first)

    return Table(names=names, rows=None, batches=batches)
