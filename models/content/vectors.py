"""Item vectors as arrays, and as the bytes that exposures and samples carry."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from hashlib import blake2b

import numpy as np
from msgspec import Struct

from headrace.models.array_types import Flags, Floats, Indexes
from headrace.models.content.modality import TEXT, Modality
from headrace.models.content.text_encoder import encode_text
from headrace.schemas.catalogue import Item

_LARGEST = 65_504.0  # of a float16


class Content(Struct, frozen=True):
    """The vectors of N items: `values` [N, E], zeros where a modality is missing; `missing` [N, M], True there."""

    values: Floats
    missing: Flags

    def take(self, indexes: Indexes) -> "Content":
        """Return the vectors of the items at these indexes."""
        return Content(self.values[indexes], self.missing[indexes])


class ContentLayout:
    """How modalities are laid out in arrays and bytes.

    An item's bytes are the layout's hash (u32), one byte per modality (1 if missing), then all numbers as float16,
    little endian. No bytes at all mean that every modality is missing, as in records older than the declaration.
    """

    def __init__(self, modalities: Sequence[Modality] = ()) -> None:
        self.modalities = tuple(modalities)
        self._widths = [each.width for each in modalities]

    def __bool__(self) -> bool:
        """Whether any modality is declared."""
        return bool(self.modalities)

    def fault(self, vectors: Mapping[str, Sequence[float]]) -> tuple[str, str] | None:
        """Return (name, what is wrong) of the first invalid vector; None if all are valid."""
        widths = {each.name: each.width for each in self.modalities}
        for name, vector in vectors.items():
            if name not in widths:
                known = ", ".join(widths) or "none"
                return (
                    name,
                    f"undeclared: modality {name!r} is not declared; the declared modalities are {known}; remove it",
                )
            if len(vector) != widths[name]:
                return name, f"length: has {len(vector)} numbers, but {widths[name]} are declared; send all or none"
            if wrong := [number for number in vector if not abs(number) <= _LARGEST]:
                limits = f"between -{_LARGEST:g} and {_LARGEST:g}; scale the vector, for example to length 1"
                return name, f"range: {wrong[0]} is not a finite number {limits}"
        return None

    def pack(self, item: Item) -> bytes:
        """Pack an item's vectors into bytes; its title and tags are encoded if it has no text vector.

        A vector that does not fit the declaration, as on an older log, counts as missing.
        """
        if not self:
            return b""
        record = np.zeros((), self._record)
        record["hash"] = self._hash
        found = [self._vector(item, each) for each in self.modalities]
        record["missing"] = [vector is None for vector in found]
        blank = [np.zeros(width, np.float32) for width in self._widths]
        record["values"] = np.concatenate([b if v is None else v for v, b in zip(found, blank, strict=True)])
        return record.tobytes()

    def fits(self, packed: bytes) -> bool:
        """Whether bytes have this layout and finite numbers; True if no modality is declared, as they are ignored."""
        if not packed or not self:
            return True
        if len(packed) != self._record.itemsize:
            return False
        record = np.frombuffer(packed, self._record)
        return record["hash"][0] == self._hash and bool(np.isfinite(record["values"]).all())

    def unpack(self, packed: Sequence[bytes]) -> Content:
        """Unpack the valid bytes of N items into arrays."""
        if not self:
            return Content(np.zeros((len(packed), 0), np.float32), np.zeros((len(packed), 0), np.bool_))
        record = np.zeros((), self._record)
        record["missing"] = 1
        blank = record.tobytes()
        records = np.frombuffer(b"".join(each or blank for each in packed), self._record)
        return Content(records["values"].astype(np.float32), records["missing"] != 0)

    def blank(self, count: int) -> Content:
        """Return the content of items without vectors."""
        return self.unpack([b""] * count)

    @cached_property
    def _record(self) -> np.dtype[np.void]:
        fields = [("hash", "<u4"), ("missing", "u1", (len(self._widths),)), ("values", "<f2", (sum(self._widths),))]
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
