"""The index of a state as a file of arrays; the lists of a layered one are in a file that many states share."""

import sys
from pathlib import Path
from typing import Any

import msgspec
from numpy.typing import NDArray

from headrace.models.index.exact import NumpyIndex
from headrace.models.index.layered import LayeredIndex, relayered
from headrace.models.index.protocol import BuildIndex, Index
from headrace.serving.shared.arrays_file import MappedFile, map_arrays, write_arrays

_BASE = "base"
_LAYERS = ("indexes", "alignment", "delta", "delta_vectors")


def write_index(path: Path, index: Index) -> None:
    """Write an index. The lists of a layered one must be in their file already; without one it is read as exact."""
    arrays: dict[str, NDArray[Any]] = {"ids": index.ids, "vectors": index.vectors}
    texts: dict[str, str] = {}
    if isinstance(index, LayeredIndex) and index.lists.file:
        arrays |= {name: getattr(index, name) for name in _LAYERS}
        texts[_BASE] = msgspec.json.encode(index.lists.file).decode()
    write_arrays(path, arrays, texts)


class IndexReader:
    """Reads one index after the other; lists that the last one had are not mapped again.

    Lists that cannot be read are replaced by those of the last index: what is found is still allowed, current and
    ranked correctly, but more items are searched exactly.
    """

    def __init__(self, build: BuildIndex = NumpyIndex) -> None:
        self._build = build
        self._last: LayeredIndex | None = None
        self._complained = ""

    def read(self, path: Path) -> Index:
        """Read an index, an exact one on whatever device `build` puts it.

        Raises:
            FileNotFoundError: the file, or that of its lists, has been removed.
        """
        file = map_arrays(path)
        if _BASE not in file.texts or self._build is not NumpyIndex:
            self._last = None
            return self._build(file.arrays["ids"], file.arrays["vectors"])
        found = self._layered(path.parent, file)
        self._last = found if isinstance(found, LayeredIndex) else None
        return found

    def _layered(self, folder: Path, file: MappedFile) -> Index:
        from headrace.models.index.base import BaseFile
        from headrace.serving.shared import base_file

        arrays, wanted = file.arrays, msgspec.json.decode(file.texts[_BASE], type=BaseFile)
        ids, vectors, indexes, delta = (arrays[name] for name in ("ids", "vectors", "indexes", "delta"))
        try:
            known = self._last and self._last.lists
            if not known or known.file != wanted:
                known = base_file.map_lists(folder, wanted, width=vectors.shape[1], rows=len(indexes))
        except base_file.DamagedBase as error:
            self._complain(wanted.name, error)
            return relayered(self._last, ids, vectors, delta=delta) if self._last else NumpyIndex(ids, vectors)
        layers: dict[str, Any] = {name: arrays[name] for name in _LAYERS}
        return LayeredIndex(ids, vectors, known, **layers)

    def _complain(self, name: str, error: Exception) -> None:
        """Write an error once: there may be a new state each second."""
        if name != self._complained:
            sys.stderr.write(f"{error}\n")
        self._complained = name
