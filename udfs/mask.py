"""Masked columns: a keyed hash in place of the value, so that equal values stay equal and nothing can be read back."""

import os
from hashlib import blake2b
from typing import Any

from lang.plan.source import Source

KEY_VARIABLE = "HEADRACE_MASK_KEY"
_BYTES = 16


class Mask:
    """Masks the columns that a source says."""

    def __init__(self, source: Source, key: bytes) -> None:
        self._columns = source.masked
        self._key = key

    @classmethod
    def from_environment(cls, source: Source) -> "Mask":
        """With the key of HEADRACE_MASK_KEY.

        Raises:
            ValueError: the source masks columns and the variable is not set: without a key a hash can be guessed back.
        """
        key = os.environ.get(KEY_VARIABLE, "").encode()
        if source.masked and not key:
            columns = ", ".join(source.masked)
            message = f"source {source.name} masks {columns} and {KEY_VARIABLE} is not set; give the workers a secret"
            raise ValueError(message)
        return cls(source, key[: blake2b.MAX_KEY_SIZE])

    def apply(self, event: dict[str, Any]) -> None:
        """Mask in place. NULL stays NULL."""
        for column in self._columns:
            value = event[column]
            if value is not None:
                digest = blake2b(str(value).encode(), key=self._key, digest_size=_BYTES)
                event[column] = digest.hexdigest()
