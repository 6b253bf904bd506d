"""Tables and weights kept in fewer bytes: float16, and 8 bits as a version carries rows."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from models.array_types import Floats, Ids, Indexes
from models.arrays import TrainingState
from models.config import RankerConfig
from models.rowset import RowSource
from schemas.row_codec import Tensors, pack_rows, unpack_rows

Dense: TypeAlias = dict[str, Floats]
_MOST = 127  # of a signed code


class Kept:
    """Rows of a table in some form, made float32 when they are asked for."""

    def __init__(self, ids: Ids, parts: Tensors) -> None:
        self._ids, self._parts = ids, parts

    @property
    def bytes(self) -> int:
        """Of the rows."""
        return sum(part.nbytes for part in self._parts.values())

    def find(self, ids: Ids) -> Indexes:
        """Places, 0 the default row's."""
        places = np.minimum(self._ids.searchsorted(ids), len(self._ids) - 1)
        return np.where(self._ids[places] == ids, places, 0)

    def rows(self, places: Indexes) -> Floats:
        """Rows [U, W]."""
        return unpack_rows({name: part[places] for name, part in self._parts.items()})


def _int8_rows(rows: Floats, lead: int) -> Tensors:
    return pack_rows(rows, lead=lead, coding="int8")


ROWS: dict[str, Callable[[Floats, int], Tensors]] = {
    "fp32": lambda rows, _: {"rows": rows},
    "fp16": lambda rows, _: {"rows": rows.astype(np.float16)},
    "int8": _int8_rows,
}


def tables_of(state: TrainingState, config: RankerConfig, form: str) -> dict[str, Kept]:
    """The tables of a trainer in a form."""
    kept: dict[str, Kept] = {}
    for name, table in state.tables.items():
        used = table.ids != 0
        used[0] = True
        order = np.argsort(table.ids[used])
        rows = table.rows[used][order]
        kept[name] = Kept(table.ids[used][order], ROWS[form](rows, config.tables()[name].lead))
    return kept


def sources(tables: dict[str, Kept]) -> dict[str, RowSource]:
    """The same, as who reads rows by id takes them."""
    return {**tables}


def dense_of(dense: Dense, form: str) -> tuple[Dense, int]:
    """The tensors as they come out of a form, and the bytes they took in it; vectors stay float16 in 8 bits."""
    if form == "fp32":
        return dense, sum(values.nbytes for values in dense.values())
    half = {name: values.astype(np.float16) for name, values in dense.items()}
    read = {name: values.astype(np.float32) for name, values in half.items()}
    held_bytes = {name: values.nbytes for name, values in half.items()}
    if form == "int8":
        for name, values in dense.items():
            if values.ndim == 2:
                scale = np.maximum(np.abs(values).max(axis=0), 1e-12) / np.float32(_MOST)
                codes = np.rint(values / scale).astype(np.int8)
                read[name], held_bytes[name] = codes * scale, codes.nbytes + scale.nbytes
    return read, sum(held_bytes.values())
