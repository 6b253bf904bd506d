"""Many strings in two arrays: no step per string to write them or to map them into memory."""

from collections.abc import Iterable, Sequence
from typing import overload

import numpy as np
from numpy.typing import NDArray

from headrace.models.array_types import Indexes


class Blobs(Sequence[bytes]):
    """N byte strings: `data` holds their bytes, `ends` [N] where each ends."""

    def __init__(self, data: NDArray[np.uint8], ends: Indexes) -> None:
        self.data = data
        self.ends = ends
        self._view = data.data  # slices in half the time

    @classmethod
    def of(cls, strings: Iterable[bytes]) -> "Blobs":
        """Pack byte strings."""
        packed = [*strings]
        ends = np.cumsum([len(each) for each in packed], dtype=np.int64)
        return cls(np.frombuffer(b"".join(packed), np.uint8), ends)

    def __len__(self) -> int:
        return len(self.ends)

    @overload
    def __getitem__(self, index: int) -> bytes: ...

    @overload
    def __getitem__(self, index: slice) -> list[bytes]: ...

    def __getitem__(self, index: int | slice) -> bytes | list[bytes]:
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        end = self.ends.item(index)
        at = index if index >= 0 else index + len(self.ends)
        return self._view[self.ends.item(at - 1) if at else 0 : end].tobytes()


class Texts(Sequence[str]):
    """N texts as UTF-8.

    >>> texts = Texts(Blobs.of(["a".encode(), b"", "é".encode()]))
    >>> len(texts), texts[2], texts[:2]
    (3, 'é', ['a', ''])
    """

    def __init__(self, utf8: Blobs) -> None:
        self.utf8 = utf8

    @classmethod
    def of(cls, texts: Iterable[str]) -> "Texts":
        """Pack texts."""
        return cls(Blobs.of(text.encode() for text in texts))

    def __len__(self) -> int:
        return len(self.utf8)

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> list[str]: ...

    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [each.decode() for each in self.utf8[index]]
        return self.utf8[index].decode()
