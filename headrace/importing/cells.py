"""Columns of files as values of JSON: texts, numbers, truth values and times in ms.

What does not fit its type stays as it is written, so that the check of the record names it.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias

import pyarrow as pa

from headrace.errors import UsageProblem
from headrace.reading.cells import value_of
from headrace.reading.times import Clock, detect_clock

Kind: TypeAlias = Literal["text", "whole", "number", "truth", "time", "map", "list"]
Values: TypeAlias = list[Any]
_MS = {"seconds": 1_000, "milliseconds": 1}
_TRUTH = {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False}


class ColumnReader:
    """Reads one column of a file; a column of times has one clock, which its first values decide."""

    def __init__(self, name: str, kind: Kind) -> None:
        self._name = name
        self._kind: Kind = kind
        self._clock: Clock | None = None

    def read(self, column: pa.Array) -> Values:
        """The values of a batch, None for those that are missing.

        Raises:
            UsageProblem: the column's type cannot be read, or its times have no known unit.
        """
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        try:
            return _READERS[self._kind](self, column)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OverflowError) as error:
            message = f"column {self._name} of type {column.type} cannot be read as {self._kind}: {error}"
            raise UsageProblem(message) from error

    def _texts(self, column: pa.Array) -> list[str | None]:
        if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
            try:
                column = column.cast(pa.string())
            except pa.ArrowInvalid:  # bytes that are not UTF-8: the check refuses their rows
                return [
                    None if each is None else each.decode("utf-8", "surrogateescape") for each in column.to_pylist()
                ]
        if pa.types.is_floating(column.type):  # whole numbers with gaps, as pandas writes ids
            return [None if each is None else _whole_text(each) for each in _numbers(column)]
        return column.cast(pa.string()).to_pylist()

    def _read_texts(self, column: pa.Array) -> Values:
        return [None if each is None else each.strip() or None for each in self._texts(column)]

    def _read_whole(self, column: pa.Array) -> Values:
        if pa.types.is_integer(column.type):
            return column.to_pylist()
        if pa.types.is_floating(column.type):
            return [int(each) if each is not None and each.is_integer() else each for each in _numbers(column)]
        return [_parsed(each, int) for each in self._texts(column)]

    def _read_numbers(self, column: pa.Array) -> Values:
        if pa.types.is_integer(column.type) or pa.types.is_floating(column.type) or pa.types.is_decimal(column.type):
            return _numbers(column.cast(pa.float64()))
        return [_parsed(each, float) for each in self._texts(column)]

    def _read_truth(self, column: pa.Array) -> Values:
        if pa.types.is_boolean(column.type):
            return column.to_pylist()
        return [each if each is None else _TRUTH.get(each.lower(), each) for each in map(_value, self._texts(column))]

    def _read_times(self, column: pa.Array) -> Values:
        if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
            return (
                column.cast(pa.timestamp("ms", getattr(column.type, "tz", None)), safe=False)
                .cast(pa.int64())
                .to_pylist()
            )
        if self._clock is None:
            self._clock = self._detect(column)
        if pa.types.is_integer(column.type) and (factor := _MS.get(self._clock.form)):
            return [None if each is None else each * factor for each in column.to_pylist()]
        return [None if each is None else self._time(self._clock, each) for each in map(_value, self._texts(column))]

    def _detect(self, column: pa.Array) -> Clock:
        try:
            return detect_clock([each for each in map(_value, self._texts(column)) if each is not None])
        except ValueError as error:
            message = f"the times in {self._name} cannot be read: {error}"
            raise UsageProblem(message) from error

    @staticmethod
    def _time(clock: Clock, value: str) -> int | str:
        try:
            return clock.parse(value)[0]
        except ValueError:
            return value

    def _read_maps(self, column: pa.Array) -> Values:
        if not (pa.types.is_map(column.type) or pa.types.is_struct(column.type)):
            message = f"column {self._name} is of type {column.type}, and a map or a struct is expected"
            raise UsageProblem(message)
        return [dict(each) if isinstance(each, list) else each for each in column.to_pylist()]

    def _read_lists(self, column: pa.Array) -> Values:
        if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
            return column.to_pylist()
        return [None if each is None else [part for part in each.split("|") if part] for each in self._texts(column)]


_READERS: dict[Kind, Callable[[ColumnReader, pa.Array], Values]] = {
    "text": ColumnReader._read_texts,
    "whole": ColumnReader._read_whole,
    "number": ColumnReader._read_numbers,
    "truth": ColumnReader._read_truth,
    "time": ColumnReader._read_times,
    "map": ColumnReader._read_maps,
    "list": ColumnReader._read_lists,
}


def _value(text: str | None) -> str | None:
    return None if text is None else value_of(text) or None


def _numbers(column: pa.Array) -> list[float | None]:
    """The numbers of a column; NaN is a missing value, as pandas writes it."""
    return [None if each is None or each != each else each for each in column.to_pylist()]


def _whole_text(number: float) -> str:
    return str(int(number)) if number.is_integer() else repr(number)


def _parsed(text: str | None, parse: Callable[[str], float]) -> float | str | None:
    value = _value(text)
    if value is None:
        return None
    try:
        return parse(value)
    except ValueError:
        return value


def rows_of(names: Sequence[str], columns: Sequence[Values]) -> list[dict[str, Any]]:
    """Rows as objects without their missing values; `context.country` becomes an entry of the map `context`."""
    flat = [name for name in names if "." not in name]
    nested = [(name.split(".", 1), values) for name, values in zip(names, columns, strict=True) if "." in name]
    kept = [values for name, values in zip(names, columns, strict=True) if "." not in name]
    rows = [
        {name: value for name, value in zip(flat, cells, strict=True) if value is not None}
        for cells in zip(*kept, strict=True)
    ]
    for (column, entry), values in nested:
        for row, value in zip(rows, values, strict=True):
            if value is not None:
                row.setdefault(column, {})[entry] = value
    return rows
