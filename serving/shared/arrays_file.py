"""Named arrays in a file of the safetensors format; reading maps the file into memory and copies nothing.

The library reads into copies, so the header is read here: its length (u64, little endian), then JSON with type, shape
and place of each array, then the arrays. Source: https://github.com/huggingface/safetensors#format
"""

import mmap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from safetensors import numpy as safetensors

_TYPES = {"F64": np.float64, "F32": np.float32, "I64": np.int64, "I32": np.int32, "U8": np.uint8, "BOOL": np.bool_}
_LENGTH = 8


class MappedFile(Struct, frozen=True):
    """Arrays by name, read-only and backed by the file, and its texts by name."""

    arrays: dict[str, NDArray[Any]]
    texts: dict[str, str]


class _Place(Struct, frozen=True):
    dtype: str
    shape: list[int]
    data_offsets: tuple[int, int]


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]], texts: Mapping[str, str]) -> None:
    """Write a file under its final name only once it is complete."""
    partial = path.with_suffix(".partial")
    whole = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    safetensors.save_file(whole, partial, metadata=dict(texts))
    partial.rename(path)


def map_arrays(path: Path) -> MappedFile:
    """Map a file that `write_arrays` wrote.

    Raises:
        FileNotFoundError: it has been removed.
    """
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    end = _LENGTH + int.from_bytes(mapped[:_LENGTH], "little")
    places = msgspec.json.decode(mapped[_LENGTH:end], type=dict[str, msgspec.Raw])
    texts = msgspec.json.decode(places.pop("__metadata__", b"{}"), type=dict[str, str])
    arrays: dict[str, NDArray[Any]] = {}
    for name, raw in places.items():
        place = msgspec.json.decode(raw, type=_Place)
        dtype, count = _TYPES[place.dtype], int(np.prod(place.shape, dtype=np.int64))
        flat = np.frombuffer(mapped, dtype, count, end + place.data_offsets[0]) if count else np.zeros(0, dtype)
        arrays[name] = flat.reshape(place.shape)
    return MappedFile(arrays, texts)
