"""Is a version's change of the usual size? Looked at before it goes live, against the versions just before it."""

from collections import deque

import numpy as np
from msgspec import Struct

from models.state import ModelState
from schemas.delta import Delta
from serving import golden

NORM, SHIFT = "norm", "shift"
_ALL, _ROWS = "all", "rows"


class Limits(Struct, frozen=True, kw_only=True):
    """When a version is out of bounds.

    Attributes:
        norm_times: the usual root mean square change of a row of a table, at most so many times.
        shift_times: the usual mean shift of the golden requests, at most so many times; below `shift_least`, in
            log-odds, none is refused. `rows_times`, `rows_least`: likewise of what comes of the tables alone.
        versions: seen before one is judged; the usual is the median of the last `remembered`.
    """

    norm_times: float = 100.0
    shift_times: float = 10.0
    shift_least: float = 0.5
    rows_times: float = 6.0
    rows_least: float = 0.15
    versions: int = 5
    remembered: int = 20


class OutOfBounds(ValueError):
    """A version that is valid and yet must not go live; `check` names the bound."""

    def __init__(self, message: str, *, check: str) -> None:
        super().__init__(f"{check}: {message}")
        self.check = check


class Bounds:
    """Remembers the changes of the last versions. A version that holds the whole model is no change and not judged."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._seen: deque[dict[str, float]] = deque(maxlen=self._limits.remembered)

    def check(self, before: ModelState, delta: Delta, after: ModelState) -> None:
        """Judge a version and remember its change.

        Raises:
            OutOfBounds: it is far from the usual; it is not remembered.
        """
        if not delta.manifest.parent:
            return
        change = _norms(before, delta)
        changed = {name: _known(before, delta, name) for name in before.tables}
        change[_ALL], change[_ROWS] = golden.shifts(before, after, changed)
        if not np.isfinite(change[_ALL]):
            message = f"version {delta.manifest.version} scores some golden requests with what is no number"
            raise OutOfBounds(message, check=SHIFT)
        if len(self._seen) >= self._limits.versions:
            for name, value in change.items():
                self._judge(name, value, version=delta.manifest.version)
        self._seen.append(change)

    def _judge(self, name: str, value: float, *, version: str) -> None:
        limits = self._limits
        usual = float(np.median([change[name] for change in self._seen if name in change] or [value]))
        if name in (_ALL, _ROWS):
            whole = name == _ALL
            times = limits.shift_times if whole else limits.rows_times
            if value > max(times * usual, limits.shift_least if whole else limits.rows_least):
                message = (
                    f"version {version} moves the golden requests by {value:.2f} in log-odds ({name}), "
                    f"usual is {usual:.2f}, at most {times:g} times that"
                )
                raise OutOfBounds(message, check=SHIFT)
        elif usual > 0 and value > limits.norm_times * usual:
            message = (
                f"version {version} changes a row of table {name} by {value:.3g}, usual is {usual:.3g}, "
                f"at most {limits.norm_times:g} times that"
            )
            raise OutOfBounds(message, check=NORM)


def _norms(before: ModelState, delta: Delta) -> dict[str, float]:
    """Root mean square length of a row's change, by table; tables that do not change are left out."""
    norms: dict[str, float] = {}
    for name, update in delta.update.tables.items():
        if len(update.ids):
            table = before.tables[name]
            change = update.rows.astype(np.float64) - table.rows(table.find(update.ids))
            norms[name] = float(np.sqrt(np.square(change).sum(axis=1).mean()))
    return norms


def _known(before: ModelState, delta: Delta, table: str) -> np.ndarray:
    """Ids of a table that a version changes and that were there before."""
    update, rows = delta.update.tables.get(table), before.tables[table]
    if update is None:
        return rows.ids[1:]
    known = update.ids[(update.ids != 0) & (rows.find(update.ids) != 0)]
    return known if len(known) else rows.ids[1:]
