"""Readers of a learner's versions who are behind, stand still, or lose some; each says which model answers."""

from collections import deque
from collections.abc import Callable
from typing import Protocol

import numpy as np
from msgspec import Struct, structs

from learner.cuts import Publication
from models.rowset import RowSet
from models.state import ModelState
from schemas.delta import Delta, decode_chunks
from schemas.ids import hash64
from schemas.row_codec import TableUpdate

CADENCE_MS = 60_000


class Version(Struct, frozen=True):
    """A version as it was cut at `cut_ms`, and the publisher's models before and after it."""

    cut_ms: int
    publication: Publication
    before: ModelState
    after: ModelState

    @property
    def delta(self) -> Delta:
        """As it comes over the wire."""
        sent = self.publication
        return Delta(sent.manifest, sent.hash, decode_chunks(sent.chunks))


class Reader(Protocol):
    """Follows versions in order."""

    def follow(self, version: Version) -> ModelState:
        """Take in a version; the model that answers for the minute after it."""
        ...


class Behind:
    """Answers by a version that is as old as its lag when the minute ends."""

    def __init__(self, lag_ms: int) -> None:
        self._lag_ms = lag_ms
        self._kept: deque[tuple[int, ModelState]] = deque()

    def follow(self, version: Version) -> ModelState:
        """Versions share their rows, so that five hours of them are a few hundred megabytes."""
        self._kept.append((version.cut_ms, version.after))
        until_ms = version.cut_ms + CADENCE_MS - self._lag_ms
        while len(self._kept) > 1 and self._kept[1][0] <= until_ms:
            self._kept.popleft()
        return self._kept[0][1]


class Frozen:
    """Takes nothing in from `at_ms` on."""

    def __init__(self, at_ms: int) -> None:
        self._at_ms = at_ms
        self._model: ModelState | None = None

    def follow(self, version: Version) -> ModelState:
        """The model of that time."""
        if self._model is None or version.cut_ms <= self._at_ms:
            self._model = version.after
        return self._model


class Lossy:
    """Loses a fifth of the versions from `from_ms` on, and applies of the others what `taken` makes of them."""

    def __init__(self, from_ms: int, taken: Callable[[Version, ModelState], Delta]) -> None:
        self._from_ms, self._taken = from_ms, taken
        self._model: ModelState | None = None

    def follow(self, version: Version) -> ModelState:
        """The model as this reader has it."""
        if self._model is None or version.cut_ms < self._from_ms:
            self._model = version.after
        elif not lost(version):
            self._model = self._model.apply(self._taken(version, self._model))
        return self._model


def lost(version: Version) -> bool:
    """Whether a version is among the fifth that is lost: by a hash of its sequence."""
    return hash64(f"version {version.publication.manifest.seq}") % 5 == 0


def absolute(version: Version, model: ModelState) -> Delta:
    """The version as it is: rows whole."""
    del model
    return version.delta


def additive(version: Version, model: ModelState) -> Delta:
    """The delta that makes of `model` its sum with the version's differences; what it has not counts from zeros."""
    delta = version.delta
    tables = {
        name: structs.replace(
            update,
            rows=_rows(model.tables[name], update) + (update.rows - _rows(version.before.tables[name], update)),
        )
        for name, update in delta.update.tables.items()
    }
    dense = {
        name: model.dense[name] + (values - version.before.dense[name]) for name, values in delta.update.dense.items()
    }
    return structs.replace(delta, update=structs.replace(delta.update, tables=tables, dense=dense))


def _rows(table: RowSet, update: TableUpdate) -> np.ndarray:
    """A table's rows for the ids of an update, zeros where it has none. [U, W]."""
    places = table.find(update.ids)
    return np.where((table.ids[places] == update.ids)[:, None], table.rows(places), np.float32(0))
