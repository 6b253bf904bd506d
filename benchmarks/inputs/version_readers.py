"""Readers of a learner's versions that lag, freeze, or lose some; each returns the model that it would serve."""

from collections import deque
from collections.abc import Callable
from typing import Protocol

import numpy as np
from msgspec import Struct, structs

from headrace.learner.versions.cuts import Publication
from headrace.models.ranker.state import ModelState
from headrace.models.tables.rowset import RowSet
from headrace.schemas.ids import hash64
from headrace.schemas.versions.delta import Delta, decode_chunks
from headrace.schemas.versions.row_codec import TableUpdate

CADENCE_MS = 60_000


class Version(Struct, frozen=True):
    """A version cut at `cut_ms`, and the publisher's models before and after it."""

    cut_ms: int
    publication: Publication
    before: ModelState
    after: ModelState

    @property
    def delta(self) -> Delta:
        """The version as decoded from its messages."""
        sent = self.publication
        return Delta(sent.manifest, sent.hash, decode_chunks(sent.chunks))


class Reader(Protocol):
    """Follows versions in order."""

    def follow(self, version: Version) -> ModelState:
        """Receive a version; returns the model that serves the minute after it."""
        ...


class LaggingReader:
    """Serves the version that is `lag_ms` old at the end of the minute."""

    def __init__(self, lag_ms: int) -> None:
        self._lag_ms = lag_ms
        self._kept: deque[tuple[int, ModelState]] = deque()

    def follow(self, version: Version) -> ModelState:
        """Keep the version. Versions share rows, so that five hours of them take a few hundred megabytes."""
        self._kept.append((version.cut_ms, version.after))
        until_ms = version.cut_ms + CADENCE_MS - self._lag_ms
        while len(self._kept) > 1 and self._kept[1][0] <= until_ms:
            self._kept.popleft()
        return self._kept[0][1]


class FrozenReader:
    """Applies no version after `at_ms`."""

    def __init__(self, at_ms: int) -> None:
        self._at_ms = at_ms
        self._model: ModelState | None = None

    def follow(self, version: Version) -> ModelState:
        """The model as of that time."""
        if self._model is None or version.cut_ms <= self._at_ms:
            self._model = version.after
        return self._model


class LossyReader:
    """Loses a fifth of the versions from `from_ms` on, and applies what `delta_of` makes of the others."""

    def __init__(self, from_ms: int, delta_of: Callable[[Version, ModelState], Delta]) -> None:
        self._from_ms, self._delta_of = from_ms, delta_of
        self._model: ModelState | None = None

    def follow(self, version: Version) -> ModelState:
        """The model of this reader."""
        if self._model is None or version.cut_ms < self._from_ms:
            self._model = version.after
        elif not is_lost(version):
            self._model = self._model.apply(self._delta_of(version, self._model))
        return self._model


def is_lost(version: Version) -> bool:
    """Whether a version is among the lost fifth, by a hash of its sequence number."""
    return hash64(f"version {version.publication.manifest.seq}") % 5 == 0


def absolute_delta(version: Version, model: ModelState) -> Delta:
    """The delta of the version: whole rows."""
    del model
    return version.delta


def additive_delta(version: Version, model: ModelState) -> Delta:
    """The delta that adds the version's differences to `model`; rows that the model lacks start at zero."""
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
    """The rows of a table for the ids of an update, zeros if an id has none. [U, W]."""
    indexes = table.find(update.ids)
    return np.where((table.ids[indexes] == update.ids)[:, None], table.rows(indexes), np.float32(0))
