"""Masked columns: a keyed hash replaces the value, so equal values stay equal and none can be recovered."""

from hashlib import blake2b
from typing import Any

from headrace.connections.settings import text
from headrace.lang.plan.source import Source

KEY_VARIABLE = "HEADRACE_MASK_KEY"
_BYTES = 16


class Mask:
    """Masks the columns that a source declares as masked."""

    def __init__(self, source: Source, key: bytes) -> None:
        self._columns = source.masked
        self._key = key

    @classmethod
    def from_environment(cls, source: Source) -> "Mask":
        """Create the mask with the key in HEADRACE_MASK_KEY.

        Raises:
            ValueError: the source masks columns and the variable is not set. Without a key, hashes can be guessed.
            SettingError: its file cannot be read.
        """
        key = text("mask.key").encode()
        if source.masked and not key:
            columns = ", ".join(source.masked)
            message = f"source {source.name} masks {columns}, but {KEY_VARIABLE} is not set; set it to a secret"
            raise ValueError(message)
        return cls(source, key[: blake2b.MAX_KEY_SIZE])

    def apply(self, event: dict[str, Any]) -> None:
        """Mask in place. NULL stays NULL."""
        for column in self._columns:
            value = event[column]
            if value is not None:
                digest = blake2b(str(value).encode(), key=self._key, digest_size=_BYTES)
                event[column] = digest.hexdigest()
