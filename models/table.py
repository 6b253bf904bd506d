"""The embedding table the learner writes: one row an id, without collisions, bounded by admission and expiry."""

import numpy as np
from msgspec import Struct

from models.array_types import Doubles, Flags, Floats, Ids, Indexes
from models.idmap import ABSENT, IdMap
from schemas.row_codec import TableUpdate

DEFAULT = 0  # the row, and the id it travels under, that all ids without a row of their own share
_BY_ROW = ("ids", "rows", "sums", "seen_ms", "sightings", "changed")
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


class TableConfig(Struct, frozen=True, kw_only=True):
    """How a table admits, learns and forgets.

    Attributes:
        dim: D of the vector; a row is `lead` own columns (biases), then the vector.
        admission: sightings before an id gets its own row.
        keep_ms: time without a sighting after which an id is forgotten.
        rate: Adagrad's step. `first`: its accumulator in a new row, and the floor it decays to.
        decay: what is left of accumulators and sighting counts after each decay period.
        spread: half width of the noise that sets a new row apart from the default row.
        clip: longest gradient of a row.
        most_rows, most_waiting: ids that may own a row, and that may wait for one; then those go first that were not
            seen for longest, whatever `keep_ms` says.
    """

    dim: int = 16
    lead: int = 3
    admission: int = 2
    keep_ms: int = 30 * 86_400_000
    rate: float = 0.08
    first: float = 0.1
    decay: float = 0.9
    spread: float = 0.05
    clip: float = 5.0
    most_rows: int = 10_000_000
    most_waiting: int = 4_000_000

    @property
    def width(self) -> int:
        """W, columns of a row."""
        return self.lead + self.dim


class TableState(Struct, frozen=True, kw_only=True):
    """A table as arrays, row by row (id 0: the default row and freed rows), then the ids that still wait."""

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

    Source: Duchi et al. 2011 (Adagrad); accumulators decay by event-time period and keep a floor, as in
    DeepRec's AdagradDecay, because plain Adagrad stops learning on long-lived ids.
    """

    def __init__(self, config: TableConfig, capacity: int = 1024) -> None:
        self.config = config
        self._places = IdMap(2 * capacity)
        self._waiting = IdMap()  # value: last sighting in ms << 8 | sightings. Admitted ids stay until the next sweep
        self._free: list[int] = []
        self._gone: set[int] = set()
        self._used = 1
        self._allot(capacity)
        self._changed[DEFAULT] = True

    def __len__(self) -> int:
        """Rows that ids own."""
        return self._used - 1 - len(self._free)

    @property
    def waiting(self) -> int:
        """Ids seen that have no row yet, and those admitted since the last sweep."""
        return len(self._waiting)

    def find(self, ids: Ids) -> Indexes:
        """Rows of `ids`, any shape; `DEFAULT` for those that own none."""
        found = self._places.get(ids.reshape(-1))
        return np.where(found == ABSENT, DEFAULT, found).reshape(ids.shape)

    def rows(self, places: Indexes) -> Floats:
        """Copy of the rows at `places` [U] -> [U, W]."""
        return self._rows[places]

    def sightings(self, places: Indexes) -> Doubles:
        """Decayed sightings of the rows at `places`, same shape."""
        return self._sightings[places]

    def owned(self) -> tuple[Ids, Indexes]:
        """Every id that owns a row, ascending, and its row."""
        return self._places.items()

    def sight(self, ids: Ids, at_ms: int) -> None:
        """Count one sighting an element of `ids` [N] and give rows to the ids that have now been seen often enough."""
        ids, counts = np.unique(ids[ids != 0], return_counts=True)
        places = self._places.get(ids)
        known = places != ABSENT
        self._saw(places[known], counts[known], at_ms=at_ms)
        ids, counts = ids[~known], counts[~known].astype(np.int64)
        if not len(ids):
            return
        marks = self._waiting.get(ids)
        total = np.minimum(counts + np.where(marks == ABSENT, 0, marks & 0xFF), 0xFF)
        ready = total >= self.config.admission
        if not ready.all():
            self._waiting.put(ids[~ready], (at_ms << 8) | total[~ready])
        if len(self._waiting) > self.config.most_waiting:
            self._thin()
        self._admit(ids[ready], total[ready], at_ms=at_ms)

    def learn(self, places: Indexes, gradients: Floats) -> None:
        """One Adagrad step on the rows at `places` [U], which are distinct, with `gradients` [U, W]."""
        config = self.config
        norm = np.sqrt(np.square(gradients).sum(axis=1))
        gradients = gradients * np.minimum(1.0, config.clip / np.maximum(norm, 1e-12))[:, None].astype(np.float32)
        sums = self._sums[places]
        step = np.empty_like(gradients)
        for part, columns in enumerate((slice(0, config.lead), slice(config.lead, config.width))):
            if columns.stop > columns.start:
                piece = gradients[:, columns]
                sums[:, part] += np.square(piece).mean(axis=1)
                step[:, columns] = piece / np.sqrt(sums[:, part : part + 1])
        self._rows[places] -= np.float32(config.rate) * step
        self._sums[places] = sums
        self._changed[places] = True

    def decay(self) -> None:
        """End a decay period: accumulators shrink towards their floor, sighting counts towards 0."""
        used = slice(0, self._used)
        np.maximum(self._sums[used] * np.float32(self.config.decay), self.config.first, out=self._sums[used])
        self._sightings[used] *= self.config.decay

    def expire(self, at_ms: int) -> int:
        """Forget ids not seen for `keep_ms`; their rows are free for others and their ids are reported as gone."""
        oldest = at_ms - self.config.keep_ms
        ids, marks = self._waiting.items()
        self._waiting.remove(ids[((marks >> 8) < oldest) | (self._places.get(ids) != ABSENT)])
        stale = np.flatnonzero((self._ids[: self._used] != 0) & (self._seen_ms[: self._used] < oldest))
        self._forget(stale)
        return len(stale)

    def changes(self) -> TableUpdate:
        """What changed since the last call, by ascending id; the default row travels under id 0."""
        places = np.flatnonzero(self._changed[: self._used])
        places = places[np.argsort(self._ids[places], kind="stable")]
        gone = np.array(sorted(self._gone), np.int64)
        update = TableUpdate(ids=self._ids[places], rows=self._rows[places], gone=gone, lead=self.config.lead)
        self._changed[:] = False
        self._gone.clear()
        return update

    def mark_all_changed(self) -> None:
        """Report every row at the next `changes`, and nothing as gone: the start of an epoch."""
        self._changed[: self._used] = self._ids[: self._used] != 0
        self._changed[DEFAULT] = True
        self._gone.clear()

    def state(self) -> TableState:
        """Copy of everything a restart needs."""
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
        """The table that `state` was taken of: it goes on bit for bit."""
        table = cls(config, capacity=max(16, len(state.ids)))
        table._used = len(state.ids)
        for name in _BY_ROW:
            getattr(table, f"_{name}")[: table._used] = getattr(state, name)
        own = np.flatnonzero(state.ids)
        table._places.put(state.ids[own], own)
        table._waiting.put(state.waiting, state.waiting_marks)
        table._free = state.free.tolist()
        table._gone = set(state.gone.tolist())
        return table

    def _saw(self, places: Indexes, counts: Indexes, *, at_ms: int) -> None:
        self._sightings[places] += counts
        self._seen_ms[places] = np.maximum(self._seen_ms[places], at_ms)

    def _admit(self, ids: Ids, counts: Indexes, *, at_ms: int) -> None:
        if len(self) + len(ids) > self.config.most_rows:
            self._make_room(len(ids))
        reused = self._free[len(self._free) - min(len(ids), len(self._free)) :][::-1]
        del self._free[len(self._free) - len(reused) :]
        fresh = len(ids) - len(reused)
        self._grow(self._used + fresh)
        places = np.concatenate([np.array(reused, np.int64), np.arange(self._used, self._used + fresh)])
        self._used += fresh
        self._places.put(ids, places)
        self._ids[places] = ids
        self._rows[places] = self._rows[DEFAULT] + self._noise(ids)
        self._sums[places] = self.config.first
        self._seen_ms[places] = 0
        self._sightings[places] = 0
        self._changed[places] = True
        self._saw(places, counts, at_ms=at_ms)
        self._gone.difference_update(ids.tolist())

    def _thin(self) -> None:
        """Halve the ids that wait: those that own a row by now go first, then those not seen for longest."""
        ids, marks = self._waiting.items()
        marks[self._places.get(ids) != ABSENT] = 0
        self._waiting.remove(ids[np.argsort(marks, kind="stable")[: len(ids) // 2]])

    def _make_room(self, coming: int) -> None:
        """Forget the rows not seen for longest; an eighth of all at once, because forgetting costs the whole map."""
        owned = np.flatnonzero(self._ids[: self._used])
        order = np.lexsort((self._sightings[owned], self._seen_ms[owned]))
        self._forget(np.sort(owned[order[: max(coming, self.config.most_rows // 8)]]))

    def _forget(self, places: Indexes) -> None:
        if not len(places):
            return
        ids = self._ids[places]
        self._places.remove(ids)
        self._gone.update(ids.tolist())
        self._ids[places] = 0
        self._changed[places] = False
        self._free.extend(places[::-1].tolist())

    def _noise(self, ids: Ids) -> Floats:
        """Uniform in ±spread on the vector columns, a function of the id alone. [N] -> [N, W]."""
        columns = np.arange(1, self.config.width + 1, dtype=np.uint64)
        bits = ids.view(np.uint64)[:, None] + columns * np.uint64(0x9E3779B97F4A7C15)
        bits = (bits ^ (bits >> np.uint64(30))) * _MIX_1  # SplitMix64's finalizer
        bits = (bits ^ (bits >> np.uint64(27))) * _MIX_2
        noise = ((bits >> np.uint64(40)).astype(np.float32) / np.float32(1 << 23) - 1) * np.float32(self.config.spread)
        noise[:, : self.config.lead] = 0.0
        return noise

    def _allot(self, capacity: int) -> None:
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
        self._allot(max(used, 2 * capacity))
        for name, values in old.items():
            getattr(self, f"_{name}")[:capacity] = values
