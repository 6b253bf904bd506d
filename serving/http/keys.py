"""The keys that a worker accepts: those of its settings, and those of a file, which is read again when it changes."""

import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from headrace.schemas.keys import SCOPES, Key, KeyFile, KeysError, checked, digest
from headrace.serving.http.token_bucket import TokenBucket

_LOOK_S = 1.0
Found = tuple[Key, TokenBucket | None]


class Keys:
    """Keys by the hash of their token. Not thread-safe: it is used on the event loop.

    Each worker counts the requests of a key for itself, so it allows its share of the key's rate.
    """

    def __init__(
        self,
        fixed: Iterable[Key],
        file: Path | None = None,
        *,
        workers: int = 1,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fixed = tuple(fixed)
        self._file = file
        self._workers = workers
        self.now_s = clock
        self._found: dict[str, Found] = {}
        self._seen: tuple[int, int, int] | None = None
        self._looked_s = clock()
        self._replace(checked([*self._fixed, *self._read()]))

    @classmethod
    def of_token(cls, token: str) -> "Keys":
        """One key that may do everything."""
        return cls([key_of_token(token)])

    def find(self, token: str) -> Found | None:
        """The key of a token, and its bucket. Only its hash is looked up, so the time it takes reveals nothing."""
        self._refresh()
        hashed = digest(token)
        if hashed not in self._found:
            self._refresh(now=True)  # a new key works at once
        return self._found.get(hashed)

    def allows_origin(self, origin: str) -> bool:
        """Whether pages of an origin may use some key."""
        self._refresh()
        return any(origin in key.origins or "*" in key.origins for key, _ in self._found.values())

    def _refresh(self, *, now: bool = False) -> None:
        now_s = self.now_s()
        if self._file is None or (now_s < self._looked_s + _LOOK_S and not now):
            return
        self._looked_s = now_s
        if self._state() == self._seen:
            return
        try:
            self._replace(checked([*self._fixed, *self._read()]))
        except (OSError, msgspec.DecodeError, KeysError) as error:
            print(f"{self._file} is not valid ({error}); the keys read before remain", file=sys.stderr)

    def _read(self) -> tuple[Key, ...]:
        self._seen = self._state()
        if self._file is None or self._seen is None:
            return ()
        return read(self._file)

    def _state(self) -> tuple[int, int, int] | None:
        try:
            found = self._file.stat() if self._file else None
        except FileNotFoundError:
            return None
        return found and (found.st_mtime_ns, found.st_size, found.st_ino)

    def _replace(self, keys: Iterable[Key]) -> None:
        """Use these keys. One that has not changed keeps its bucket: reading the file again gives nobody new tokens."""
        old = self._found
        self._found = {
            key.sha256: found if (found := old.get(key.sha256)) and found[0] == key else (key, self._bucket(key))
            for key in keys
        }

    def _bucket(self, key: Key) -> TokenBucket | None:
        if key.limit is None:
            return None
        rate_per_s, burst = key.limit
        share = max(1, burst // self._workers)
        return TokenBucket(rate_per_s=rate_per_s / self._workers, burst=share, now_s=self.now_s())


def read(file: Path) -> tuple[Key, ...]:
    """The keys of a file.

    Raises:
        OSError, msgspec.DecodeError: it cannot be read.
    """
    return msgspec.json.decode(file.read_bytes(), type=KeyFile).keys


def key_of_token(token: str) -> Key:
    """The key of a bare token: it may do everything."""
    return Key(name="HEADRACE_TOKEN", sha256=digest(token), scopes=SCOPES)
