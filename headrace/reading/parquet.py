"""Read a Parquet file as column names and rows of text, each value as a CSV would hold it."""

from datetime import date
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from headrace.errors import UsageProblem


def read(path: Path) -> tuple[list[str], list[list[str]]]:
    """Read (column names, rows).

    Raises:
        UsageProblem: the file is damaged, or holds a type that cannot be read.
    """
    try:
        table = parquet.read_table(path)
        columns = [_texts(column) for column in table.columns]
    except (pa.ArrowException, OSError, ValueError, OverflowError, NotImplementedError) as error:
        message = f"{path} cannot be read as Parquet: {error}; is the file complete?"
        raise UsageProblem(message) from error
    return list(table.schema.names), [list(row) for row in zip(*columns, strict=True)]


def _texts(column: "pa.ChunkedArray") -> list[str]:
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us", column.type.tz), safe=False)
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return [_text(value) for value in column.to_pylist()]


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list):
        return "|".join(_text(each) for each in value)
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    return str(value)
