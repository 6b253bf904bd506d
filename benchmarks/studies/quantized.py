"""Tables and weights in fewer bytes: float16, and 8 bits with the row coding of versions."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from headrace.models.array_types import Floats, Ids, Indexes
from headrace.models.ranker.arrays import TrainingState
from headrace.models.ranker.config import RankerConfig
from headrace.models.tables.rowset import RowSource
from headrace.schemas.versions.row_codec import Tensors, pack_rows, unpack_rows

Dense: TypeAlias = dict[str, Floats]
_MOST = 127  # largest signed 8-bit code


class QuantizedTable:
    """Rows of a table in a compressed form, decoded to float32 on read."""

    def __init__(self, ids: Ids, parts: Tensors) -> None:
        self._ids, self._parts = ids, parts

    @property
    def bytes(self) -> int:
        """Bytes of the rows."""
        return sum(part.nbytes for part in self._parts.values())

    def find(self, ids: Ids) -> Indexes:
        """Row indexes of ids; 0 is the default row."""
        indexes = np.minimum(self._ids.searchsorted(ids), len(self._ids) - 1)
        return np.where(self._ids[indexes] == ids, indexes, 0)

    def rows(self, indexes: Indexes) -> Floats:
        """Rows [U, W] at these indexes."""
        return unpack_rows({name: part[indexes] for name, part in self._parts.items()})


def _int8_rows(rows: Floats, lead: int) -> Tensors:
    return pack_rows(rows, lead=lead, coding="int8")


ROWS: dict[str, Callable[[Floats, int], Tensors]] = {
    "fp32": lambda rows, _: {"rows": rows},
    "fp16": lambda rows, _: {"rows": rows.astype(np.float16)},
    "int8": _int8_rows,
}


def quantize_tables(state: TrainingState, config: RankerConfig, form: str) -> dict[str, QuantizedTable]:
    """The tables of a trainer in a compressed form."""
    tables: dict[str, QuantizedTable] = {}
    for name, table in state.tables.items():
        used = table.ids != 0
        used[0] = True
        order = np.argsort(table.ids[used])
        rows = table.rows[used][order]
        tables[name] = QuantizedTable(table.ids[used][order], ROWS[form](rows, config.tables()[name].lead))
    return tables


def sources(tables: dict[str, QuantizedTable]) -> dict[str, RowSource]:
    """The tables as row sources."""
    return {**tables}


def quantize_dense(dense: Dense, form: str) -> tuple[Dense, int]:
    """The tensors after a round trip through a form, and their bytes in it; with `int8`, vectors use float16."""
    if form == "fp32":
        return dense, sum(values.nbytes for values in dense.values())
    half = {name: values.astype(np.float16) for name, values in dense.items()}
    read = {name: values.astype(np.float32) for name, values in half.items()}
    size_bytes = {name: values.nbytes for name, values in half.items()}
    if form == "int8":
        for name, values in dense.items():
            if values.ndim == 2:
                scale = np.maximum(np.abs(values).max(axis=0), 1e-12) / np.float32(_MOST)
                codes = np.rint(values / scale).astype(np.int8)
                read[name], size_bytes[name] = codes * scale, codes.nbytes + scale.nbytes
    return read, sum(size_bytes.values())
