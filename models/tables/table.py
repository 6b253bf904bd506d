"""The learner's embedding table: one row per id, no collisions, size bounded by admission and expiry."""

import numpy as np
from msgspec import Struct

from headrace.models.array_types import Doubles, Flags, Floats, Ids, Indexes
from headrace.models.tables.idmap import ABSENT, IdMap
from headrace.schemas.versions.row_codec import TableUpdate

DEFAULT = 0  # index of the row that ids without their own row share, and the id it is published under
_BY_ROW = ("ids", "rows", "sums", "seen_ms", "sightings", "changed")
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


class TableConfig(Struct, frozen=True, kw_only=True):
    """Settings of a table: admission, learning, expiry.

    Attributes:
        dim: D of the vector; a row is `lead` bias columns, then the vector.
        admission: sightings after which an id gets its own row.
        keep_ms: time without a sighting after which an id expires.
        rate: Adagrad's step. `first`: its accumulator in a new row, and the floor it decays to.
        decay: factor on sighting counts after each decay period. `accumulator_decay`: that on accumulators.
        spread: half width of the noise that sets a new row apart from the default row.
        clip: largest gradient norm of a row.
        most_rows, most_waiting: limits on the ids that own a row, and on those that wait for one; beyond a limit, the
            ids not seen for longest are dropped, regardless of `keep_ms`.
    """

    dim: int = 16
    lead: int
    admission: int = 2
    keep_ms: int = 30 * 86_400_000
    rate: float = 0.08
    first: float = 0.1
    decay: float = 0.9
    accumulator_decay: float = 0.9
    spread: float = 0.05
    clip: float = 5.0
    most_rows: int = 10_000_000
    most_waiting: int = 4_000_000

    @property
    def width(self) -> int:
        """W, columns of a row."""
        return self.lead + self.dim


class TableState(Struct, frozen=True, kw_only=True):
    """A table as arrays: row by row (id 0: the default row and free rows), then the waiting ids."""

    ids: Ids
    rows: Floats
    sums: Floats
    seen_ms: Ids
    sightings: Doubles
    changed: Flags
    gone: Ids
    free: Ids
    waiting: Ids
    waiting_marks: Ids


class Table:
    """Rows by id, with row-wise Adagrad: one accumulator for the lead columns, one for the vector.

    Source: Duchi et al. 2011 (Adagrad). Accumulators decay once per event-time period, down to a floor, as in DeepRec's
    AdagradDecay, because plain Adagrad stops learning on long-lived ids.
    """

    def __init__(self, config: TableConfig, capacity: int = 1024) -> None:
        self.config = config
        self._row_of = IdMap(2 * capacity)
        self._waiting = (
            IdMap()
        )  # value: last sighting in ms << 8 | sightings; admitted ids stay until the next `expire`
        self._free: list[int] = []
        self._gone: set[int] = set()
        self._used = 1
        self._allocate(capacity)
        self._changed[DEFAULT] = True

    def __len__(self) -> int:
        """Number of rows that ids own."""
        return self._used - 1 - len(self._free)

    @property
    def waiting(self) -> int:
        """Number of ids seen without a row, plus those admitted since the last `expire`."""
        return len(self._waiting)

    def find(self, ids: Ids) -> Indexes:
        """Return the row index of each id, any shape; `DEFAULT` for ids without a row."""
        found = self._row_of.get(ids.reshape(-1))
        return np.where(found == ABSENT, DEFAULT, found).reshape(ids.shape)

    def rows(self, indexes: Indexes) -> Floats:
        """Return a copy of the rows at `indexes` [U] -> [U, W]."""
        return self._rows[indexes]

    def sightings(self, indexes: Indexes) -> Doubles:
        """Return the decayed sightings of the rows at `indexes`, same shape."""
        return self._sightings[indexes]

    def owned(self) -> tuple[Ids, Indexes]:
        """Return every id that owns a row, ascending, and its row index."""
        return self._row_of.items()

    def sight(self, ids: Ids, at_ms: int) -> None:
        """Count one sighting per element of `ids` [N]; admit the ids that have now been seen often enough."""
        ids, counts = np.unique(ids[ids != 0], return_counts=True)
        indexes = self._row_of.get(ids)
        known = indexes != ABSENT
        self._count_sightings(indexes[known], counts[known], at_ms=at_ms)
        ids, counts = ids[~known], counts[~known].astype(np.int64)
        if not len(ids):
            return
        marks = self._waiting.get(ids)
        total = np.minimum(counts + np.where(marks == ABSENT, 0, marks & 0xFF), 0xFF)
        ready = total >= self.config.admission
        if not ready.all():
            self._waiting.put(ids[~ready], (at_ms << 8) | total[~ready])
        if len(self._waiting) > self.config.most_waiting:
            self._drop_waiting()
        self._admit(ids[ready], total[ready], at_ms=at_ms)

    def learn(self, indexes: Indexes, gradients: Floats) -> None:
        """Take one Adagrad step on the rows at distinct `indexes` [U], with `gradients` [U, W]."""
        config = self.config
        norm = np.sqrt(np.square(gradients).sum(axis=1))
        gradients = gradients * np.minimum(1.0, config.clip / np.maximum(norm, 1e-12))[:, None].astype(np.float32)
        sums = self._sums[indexes]
        step = np.empty_like(gradients)
        for part, columns in enumerate((slice(0, config.lead), slice(config.lead, config.width))):
            if columns.stop > columns.start:
                piece = gradients[:, columns]
                sums[:, part] += np.square(piece).mean(axis=1)
                step[:, columns] = piece / np.sqrt(sums[:, part : part + 1])
        self._rows[indexes] -= np.float32(config.rate) * step
        self._sums[indexes] = sums
        self._changed[indexes] = True

    def decay(self) -> None:
        """End a decay period: shrink accumulators towards their floor, and sighting counts towards 0."""
        used = slice(0, self._used)
        faded = self._sums[used] * np.float32(self.config.accumulator_decay)
        np.maximum(faded, self.config.first, out=self._sums[used])
        self._sightings[used] *= self.config.decay

    def expire(self, at_ms: int) -> int:
        """Expire ids not seen for `keep_ms`: free their rows and report them as gone. Return their number."""
        oldest = at_ms - self.config.keep_ms
        ids, marks = self._waiting.items()
        self._waiting.remove(ids[((marks >> 8) < oldest) | (self._row_of.get(ids) != ABSENT)])
        stale = np.flatnonzero((self._ids[: self._used] != 0) & (self._seen_ms[: self._used] < oldest))
        self._forget(stale)
        return len(stale)

    def changes(self) -> TableUpdate:
        """Return what changed since the last call, by ascending id; the default row has id 0."""
        indexes = np.flatnonzero(self._changed[: self._used])
        indexes = indexes[np.argsort(self._ids[indexes], kind="stable")]
        gone = np.array(sorted(self._gone), np.int64)
        update = TableUpdate(ids=self._ids[indexes], rows=self._rows[indexes], gone=gone, lead=self.config.lead)
        self._changed[:] = False
        self._gone.clear()
        return update

    def mark_all_changed(self) -> None:
        """Make the next `changes` return every row, and nothing as gone: the start of an epoch."""
        self._changed[: self._used] = self._ids[: self._used] != 0
        self._changed[DEFAULT] = True
        self._gone.clear()

    def state(self) -> TableState:
        """Return a copy of everything a restart needs."""
        waiting, marks = self._waiting.items()
        return TableState(
            **{name: getattr(self, f"_{name}")[: self._used].copy() for name in _BY_ROW},
            gone=np.array(sorted(self._gone), np.int64),
            free=np.array(self._free, np.int64),
            waiting=waiting,
            waiting_marks=marks,
        )

    @classmethod
    def from_state(cls, config: TableConfig, state: TableState) -> "Table":
        """Restore a table from its state; it continues bit for bit."""
        table = cls(config, capacity=max(16, len(state.ids)))
        table._used = len(state.ids)
        for name in _BY_ROW:
            getattr(table, f"_{name}")[: table._used] = getattr(state, name)
        own = np.flatnonzero(state.ids)
        table._row_of.put(state.ids[own], own)
        table._waiting.put(state.waiting, state.waiting_marks)
        table._free = state.free.tolist()
        table._gone = set(state.gone.tolist())
        return table

    def _count_sightings(self, indexes: Indexes, counts: Indexes, *, at_ms: int) -> None:
        self._sightings[indexes] += counts
        self._seen_ms[indexes] = np.maximum(self._seen_ms[indexes], at_ms)

    def _admit(self, ids: Ids, counts: Indexes, *, at_ms: int) -> None:
        if len(self) + len(ids) > self.config.most_rows:
            self._make_room(len(ids))
        reused = self._free[len(self._free) - min(len(ids), len(self._free)) :][::-1]
        del self._free[len(self._free) - len(reused) :]
        fresh = len(ids) - len(reused)
        self._grow(self._used + fresh)
        indexes = np.concatenate([np.array(reused, np.int64), np.arange(self._used, self._used + fresh)])
        self._used += fresh
        self._row_of.put(ids, indexes)
        self._ids[indexes] = ids
        self._rows[indexes] = self._rows[DEFAULT] + self._noise(ids)
        self._sums[indexes] = self.config.first
        self._seen_ms[indexes] = 0
        self._sightings[indexes] = 0
        self._changed[indexes] = True
        self._count_sightings(indexes, counts, at_ms=at_ms)
        self._gone.difference_update(ids.tolist())

    def _drop_waiting(self) -> None:
        """Drop half of the waiting ids: first those that own a row by now, then those not seen for longest."""
        ids, marks = self._waiting.items()
        marks[self._row_of.get(ids) != ABSENT] = 0
        self._waiting.remove(ids[np.argsort(marks, kind="stable")[: len(ids) // 2]])

    def _make_room(self, count: int) -> None:
        """Drop the rows not seen for longest, an eighth of all at once, because each removal rebuilds the map."""
        owned = np.flatnonzero(self._ids[: self._used])
        order = np.lexsort((self._sightings[owned], self._seen_ms[owned]))
        self._forget(np.sort(owned[order[: max(count, self.config.most_rows // 8)]]))

    def _forget(self, indexes: Indexes) -> None:
        if not len(indexes):
            return
        ids = self._ids[indexes]
        self._row_of.remove(ids)
        self._gone.update(ids.tolist())
        self._ids[indexes] = 0
        self._changed[indexes] = False
        self._free.extend(indexes[::-1].tolist())

    def _noise(self, ids: Ids) -> Floats:
        """Return noise uniform in ±spread on the vector columns, a function of the id alone. [N] -> [N, W]."""
        columns = np.arange(1, self.config.width + 1, dtype=np.uint64)
        bits = ids.view(np.uint64)[:, None] + columns * np.uint64(0x9E3779B97F4A7C15)
        bits = (bits ^ (bits >> np.uint64(30))) * _MIX_1  # SplitMix64's finalizer
        bits = (bits ^ (bits >> np.uint64(27))) * _MIX_2
        noise = ((bits >> np.uint64(40)).astype(np.float32) / np.float32(1 << 23) - 1) * np.float32(self.config.spread)
        noise[:, : self.config.lead] = 0.0
        return noise

    def _allocate(self, capacity: int) -> None:
        config = self.config
        self._ids: Ids = np.zeros(capacity, np.int64)
        self._rows: Floats = np.zeros((capacity, config.width), np.float32)
        self._sums: Floats = np.full((capacity, 2), config.first, np.float32)
        self._seen_ms: Ids = np.zeros(capacity, np.int64)
        self._sightings: Doubles = np.zeros(capacity)
        self._changed: Flags = np.zeros(capacity, np.bool_)

    def _grow(self, used: int) -> None:
        capacity = len(self._ids)
        if used <= capacity:
            return
        old = {name: getattr(self, f"_{name}") for name in _BY_ROW}
        self._allocate(max(used, 2 * capacity))
        for name, values in old.items():
            getattr(self, f"_{name}")[:capacity] = values
