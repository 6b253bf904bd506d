"""The same rows packed the obvious way: as float32, without a signature, by common libraries."""

import io
import pickle
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import torch
import zstandard
from msgspec import Struct
from safetensors import numpy as safetensors

from headrace.schemas.versions.row_codec import TableUpdate

Arrays: TypeAlias = dict[str, np.ndarray]


class Packing(Struct, frozen=True):
    """Packs ids and rows to bytes, and reads them back."""

    pack: Callable[[Arrays], bytes]
    read: Callable[[bytes], Arrays]


def arrays_of(table: TableUpdate) -> Arrays:
    """The arrays that each packing packs."""
    return {"ids": table.ids, "rows": table.rows}


def _npz(arrays: Arrays) -> bytes:
    out = io.BytesIO()
    np.savez(out, allow_pickle=False, **arrays)
    return out.getvalue()


def _of_npz(packed: bytes) -> Arrays:
    with np.load(io.BytesIO(packed)) as file:
        return {name: file[name] for name in file.files}


def _torch(arrays: Arrays) -> bytes:
    out = io.BytesIO()
    torch.save({name: torch.from_numpy(values) for name, values in arrays.items()}, out)
    return out.getvalue()


def _of_torch(packed: bytes) -> Arrays:
    return {name: tensor.numpy() for name, tensor in torch.load(io.BytesIO(packed), weights_only=True).items()}


PACKINGS = {
    "npz": Packing(_npz, _of_npz),
    "pickle": Packing(lambda arrays: pickle.dumps(arrays, protocol=5), pickle.loads),
    "torch.save": Packing(_torch, _of_torch),
    "safetensors + zstd": Packing(
        lambda arrays: zstandard.ZstdCompressor(level=1).compress(safetensors.save(arrays)),
        lambda packed: safetensors.load(zstandard.ZstdDecompressor().decompress(packed)),
    ),
}
