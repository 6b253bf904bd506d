"""Pinned models, for as long as an alias may name them: `MODEL/pins/VERSION.safetensors`, next to the snapshots.

The worker that answers the request writes one, and the feeders of all hosts read it.
"""

import numpy as np
from safetensors import SafetensorError
from safetensors import numpy as safetensors

from headrace.models.ranker.arrays import Arrays
from headrace.models.ranker.config import RankerConfig
from headrace.models.ranker.state import ModelState
from headrace.models.tables.rowset import RowSet
from headrace.serving.state.state import ServedModel
from headrace.store.location import Location, LocationProblem

_DENSE = "="
_OFFSET = "offset"


class Pins:
    """Writes and reads the models of one folder."""

    def __init__(self, folder: Location, config: RankerConfig) -> None:
        self._folder = folder
        self._config = config

    def save(self, served: ServedModel) -> None:
        """Write a model. Once this returns, it survives a crash.

        Raises:
            LocationProblem: the bucket cannot be used.
        """
        tensors: Arrays = {f"{_DENSE}{name}": values for name, values in served.model.dense.items()}
        for name, table in served.model.tables.items():
            tensors |= {f"{name}/ids": table.ids, f"{name}/values": table.values}
        tensors[_OFFSET] = np.array([served.offset], np.int64)
        packed = safetensors.save({name: np.ascontiguousarray(values) for name, values in tensors.items()})
        self._file(served.version).write(packed)

    def load(self, version: str) -> tuple[ModelState, int] | None:
        """(model, offset of its samples); None if there is no such file, or if it has another schema.

        Raises:
            LocationProblem: the bucket cannot be used.
        """
        try:
            tensors = safetensors.load(self._file(version).read())
        except LocationProblem:
            raise
        except (OSError, ValueError, SafetensorError):  # ValueError: no file can have this name
            return None
        dense = {name.removeprefix(_DENSE): of for name, of in tensors.items() if name.startswith(_DENSE)}
        if {name: values.shape for name, values in dense.items()} != self._config.shapes():
            return None
        if not {_OFFSET, *(f"{name}/{part}" for name in self._config.tables() for part in ("ids", "values"))} <= set(
            tensors
        ):
            return None
        tables = {
            name: RowSet.from_values(tensors[f"{name}/ids"], tensors[f"{name}/values"])
            for name in self._config.tables()
        }
        model = ModelState(config=self._config, tables=tables, dense=dense, version=version)
        return model, int(tensors[_OFFSET][0])

    def _file(self, version: str) -> Location:
        return self._folder / f"{version}.safetensors"
