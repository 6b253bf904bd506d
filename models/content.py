"""Vectors that items come with, as arrays, and as the bytes in which exposures and samples carry them."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from hashlib import blake2b

import numpy as np
from msgspec import Struct

from models.array_types import Flags, Floats, Indexes
from models.modality import TEXT, Modality
from models.text_encoder import encode_text
from schemas.catalogue import Item

_LARGEST = 65_504.0  # of a float16


class Content(Struct, frozen=True):
    """Of N items: `values` [N, E], zeros where a modality is missing; `lacking` [N, M], which of them are."""

    values: Floats
    lacking: Flags

    def take(self, places: Indexes) -> "Content":
        """Of the items at these places."""
        return Content(self.values[places], self.lacking[places])


class ContentLayout:
    """How modalities lie in arrays and bytes.

    An item's bytes are the layout's hash (u32), a byte each modality (1 where missing), then all numbers as float16,
    little endian. No bytes at all mean that nothing was told, as records have it from before there were modalities.
    """

    def __init__(self, modalities: Sequence[Modality] = ()) -> None:
        self.modalities = tuple(modalities)
        self._widths = [each.width for each in modalities]

    def __bool__(self) -> bool:
        """Whether any modality is declared."""
        return bool(self.modalities)

    def fault(self, told: Mapping[str, Sequence[float]]) -> tuple[str, str] | None:
        """(name, what is wrong) of the first vector that cannot be taken; None where all can."""
        widths = {each.name: each.width for each in self.modalities}
        for name, vector in told.items():
            if name not in widths:
                known = ", ".join(widths) or "none"
                return name, f"undeclared: modality {name!r} is not declared; declared are {known}; leave it out"
            if len(vector) != widths[name]:
                return name, f"length: {len(vector)} numbers, {widths[name]} are declared; send all of them or none"
            if wrong := [number for number in vector if not abs(number) <= _LARGEST]:
                return name, f"range: {wrong[0]} is not finite within {_LARGEST:g}; scale the vector, to length 1 say"
        return None

    def pack(self, item: Item) -> bytes:
        """An item's vectors as bytes: what was given and fits; its words where it has no text vector.

        A vector that does not fit the declaration, as on a log from before it changed, is missing.
        """
        if not self:
            return b""
        record = np.zeros((), self._record)
        record["hash"] = self._hash
        found = [self._vector(item, each) for each in self.modalities]
        record["lacking"] = [vector is None for vector in found]
        blank = [np.zeros(width, np.float32) for width in self._widths]
        record["values"] = np.concatenate([b if v is None else v for v, b in zip(found, blank, strict=True)])
        return record.tobytes()

    def fits(self, packed: bytes) -> bool:
        """Whether bytes are of this layout, with finite numbers; where none is declared, all are passed over."""
        if not packed or not self:
            return True
        if len(packed) != self._record.itemsize:
            return False
        record = np.frombuffer(packed, self._record)
        return record["hash"][0] == self._hash and bool(np.isfinite(record["values"]).all())

    def unpack(self, packed: Sequence[bytes]) -> Content:
        """Bytes that fit, of N items, as arrays."""
        if not self:
            return Content(np.zeros((len(packed), 0), np.float32), np.zeros((len(packed), 0), np.bool_))
        nothing = np.zeros((), self._record)
        nothing["lacking"] = 1
        blank = nothing.tobytes()
        records = np.frombuffer(b"".join(each or blank for each in packed), self._record)
        return Content(records["values"].astype(np.float32), records["lacking"] != 0)

    def blank(self, count: int) -> Content:
        """Of items that nothing is told of."""
        return self.unpack([b""] * count)

    @cached_property
    def _record(self) -> np.dtype[np.void]:
        fields = [("hash", "<u4"), ("lacking", "u1", (len(self._widths),)), ("values", "<f2", (sum(self._widths),))]
        return np.dtype(fields)

    @cached_property
    def _hash(self) -> int:
        text = "\n".join(f"{each.name} {each.width}" for each in self.modalities)
        return int.from_bytes(blake2b(text.encode(), digest_size=4).digest(), "little")

    def _vector(self, item: Item, modality: Modality) -> Floats | None:
        given = item.content.get(modality.name)
        if given is not None and self.fault({modality.name: given}) is None:
            return np.array(given, np.float32)
        if modality.name == TEXT and given is None:
            return encode_text((item.title or "", *item.tags), modality.width)
        return None
