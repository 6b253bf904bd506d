"""Columns of files as values of JSON: texts, numbers, truth values and times in ms.

What does not fit its type stays as it is written, so that the check of the record names it.
"""

import math
import re
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any, Literal, TypeAlias

import pyarrow as pa

from headrace.errors import UsageProblem
from headrace.reading.cells import value_of
from headrace.reading.times import Clock, detect_clock

ColumnKind: TypeAlias = Literal["text", "whole", "number", "truth", "time", "map", "list"]
Values: TypeAlias = list[Any]
_MS = {"seconds": 1_000, "milliseconds": 1}
_TRUTH = {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False}
_CLOCK_VALUES = 5_000
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,(\d{1,2}|\d{4,})")


class ColumnReader:
    """Reads one column of a file."""

    def __init__(self, name: str, kind: ColumnKind) -> None:
        self.name = name
        self._kind: ColumnKind = kind
        self._clock: Clock | None = None

    @property
    def is_time(self) -> bool:
        """Whether the column holds times."""
        return self._kind == "time"

    def detect_clock(self, columns: Iterable[pa.Array]) -> None:
        """Detect the clock of a column of times from its first values.

        Raises:
            UsageProblem: days and months cannot be distinguished.
        """
        texts = (text for column in columns if not _is_moment(column.type) for text in self._words(column))
        try:
            self._clock = detect_clock(list(islice((text for text in texts if text), _CLOCK_VALUES)))
        except ValueError as error:
            message = f"the times in {self.name} cannot be read: {error}"
            raise UsageProblem(message) from error

    def read(self, column: pa.Array) -> Values:
        """The values of a batch, None for those that are missing.

        Raises:
            UsageProblem: the column's type cannot be read.
        """
        try:
            return _READERS[self._kind](self, _plain(column))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OverflowError) as error:
            message = f"column {self.name} of type {column.type} cannot be read as {self._kind}: {error}"
            raise UsageProblem(message) from error

    def read_constant(self, text: str) -> Any:
        """The value of a constant, as if a column of a text file held it."""
        column = pa.array([text.encode()])
        if self.is_time:
            self.detect_clock([column])
        return self.read(column)[0]

    def _texts(self, column: pa.Array) -> list[str | None]:
        if pa.types.is_floating(column.type):  # whole numbers with gaps, as pandas writes ids
            return [None if each is None else _number_text(each) for each in _numbers(column)]
        if pa.types.is_decimal(column.type):
            return [None if each is None else _number_text(float(each)) for each in column.to_pylist()]
        if not _is_bytes(column.type):
            return column.cast(pa.string()).to_pylist()
        try:
            return column.cast(pa.string()).to_pylist()
        except pa.ArrowInvalid:  # bytes that are not UTF-8: the check refuses their rows
            return [None if each is None else each.decode("utf-8", "surrogateescape") for each in column.to_pylist()]

    def _words(self, column: pa.Array) -> list[str | None]:
        """The texts, without the words that databases write for missing values."""
        return [None if each is None else value_of(each) or None for each in self._texts(_plain(column))]

    def _read_texts(self, column: pa.Array) -> Values:
        if _is_bytes(column.type):
            return self._words(column)
        return [None if each is None else each.strip() or None for each in self._texts(column)]

    def _read_whole(self, column: pa.Array) -> Values:
        if pa.types.is_integer(column.type):
            return column.to_pylist()
        if pa.types.is_floating(column.type):
            return [int(each) if isinstance(each, float) and each.is_integer() else each for each in _numbers(column)]
        return [_parsed(each, int) for each in self._words(column)]

    def _read_numbers(self, column: pa.Array) -> Values:
        if pa.types.is_integer(column.type) or pa.types.is_floating(column.type) or pa.types.is_decimal(column.type):
            return _numbers(column.cast(pa.float64()))
        return [_parsed(each, _finite) for each in self._words(column)]

    def _read_truth(self, column: pa.Array) -> Values:
        if pa.types.is_boolean(column.type):
            return column.to_pylist()
        return [each if each is None else _TRUTH.get(each.lower(), each) for each in self._words(column)]

    def _read_times(self, column: pa.Array) -> Values:
        if _is_moment(column.type):
            zone = getattr(column.type, "tz", None)
            return column.cast(pa.timestamp("ms", zone), safe=False).cast(pa.int64()).to_pylist()
        if self._clock is None:
            self.detect_clock([column])
        clock = self._clock or detect_clock(())
        factor = _MS.get(clock.form)
        if factor and pa.types.is_integer(column.type):
            return [None if each is None else each * factor for each in column.to_pylist()]
        return [None if each is None else _time(clock, each) for each in self._words(column)]

    def _read_maps(self, column: pa.Array) -> Values:
        if not (pa.types.is_map(column.type) or pa.types.is_struct(column.type)):
            message = f"column {self.name} is of type {column.type}, and a map or a struct is expected"
            raise UsageProblem(message)
        return [dict(each) if isinstance(each, list) else each for each in column.to_pylist()]

    def _read_lists(self, column: pa.Array) -> Values:
        if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
            return column.to_pylist()
        return [None if each is None else [part for part in each.split("|") if part] for each in self._words(column)]


_READERS: dict[ColumnKind, Callable[[ColumnReader, pa.Array], Values]] = {
    "text": ColumnReader._read_texts,
    "whole": ColumnReader._read_whole,
    "number": ColumnReader._read_numbers,
    "truth": ColumnReader._read_truth,
    "time": ColumnReader._read_times,
    "map": ColumnReader._read_maps,
    "list": ColumnReader._read_lists,
}


def _plain(column: pa.Array) -> pa.Array:
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def _is_bytes(kind: pa.DataType) -> bool:
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _is_moment(kind: pa.DataType) -> bool:
    return pa.types.is_timestamp(kind) or pa.types.is_date(kind)


def _numbers(column: pa.Array) -> list[float | str | None]:
    """The numbers of a column. NaN is a missing value, as pandas writes it; JSON has no infinity, so it is a text."""
    return [
        each if each is None or math.isfinite(each) else None if math.isnan(each) else str(each)
        for each in column.to_pylist()
    ]


def _number_text(number: float | str) -> str:
    return str(int(number)) if isinstance(number, float) and number.is_integer() else str(number)


def _finite(text: str) -> float:
    """A number; a comma before other than three digits is a decimal comma, before three it might group thousands."""
    number = float(text.replace(",", ".") if _DECIMAL_COMMA.fullmatch(text) else text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _parsed(text: str | None, parse: Callable[[str], float]) -> float | str | None:
    if text is None:
        return None
    try:
        return parse(text)
    except ValueError:
        return text


def _time(clock: Clock, value: str) -> int | str:
    try:
        return clock.parse(value)[0]
    except ValueError:
        return value
