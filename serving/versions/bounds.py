"""Is a version plausible, and is its change of the usual size? Checked before it goes live.

Every version is held to absolute limits on its predictions for the golden requests; a version that changes a model also
to the changes of the versions before it. A version that contains the whole model is not a change, nor is an empty one.
"""

from collections import deque

import numpy as np
from msgspec import Struct

from headrace.models.array_types import Ids
from headrace.models.ranker.config import TABLES
from headrace.models.ranker.state import ModelState
from headrace.schemas.versions.delta import Delta
from headrace.schemas.versions.version_policy import VersionId
from headrace.serving.versions import golden_requests
from headrace.serving.versions.golden_requests import output_names

NORM, SHIFT = "norm", "shift"
_ROWS = " of the tables alone"
_ROWS_OF = "rows of "
_SAMPLES = "samples"


class VersionBounds(Struct, frozen=True, kw_only=True):
    """The bounds of a version.

    Attributes:
        norm_times: limit on the root mean square change of a table's rows, as a multiple of the usual change.
        shift_times: limit on the mean shift of an output of the golden requests, as a multiple of the usual shift. A
            shift below `shift_least`, in log-odds and logarithms, is never refused. `rows_times`, `rows_least`: the
            same for the shift that the tables alone cause. A version with n times the usual samples may shift n times
            as far. The requests are made of the rows that it changes, and if these are fewer than usual, of others too:
            a version of ten urgent samples moves its few rows far, and hardly any scores.
        log_odds_least, log_odds_most, seconds_most: limits on the mean log-odds, and on the geometric mean of the
            seconds (plus 1), whatever is usual: nothing is clicked 99.3 % of the time.
        versions: changes seen before one is compared with them; the usual is the median of the last `remembered`.
    """

    norm_times: float = 100.0
    shift_times: float = 10.0
    shift_least: float = 0.5
    rows_times: float = 6.0
    rows_least: float = 0.15
    log_odds_least: float = -16.0
    log_odds_most: float = 5.0
    seconds_most: float = 1200.0
    versions: int = 5
    remembered: int = 20


class OutOfBounds(ValueError):
    """A version is valid, but must not go live; `check` names the bound."""

    def __init__(self, message: str, *, check: str) -> None:
        super().__init__(f"{check}: {message}")
        self.check = check


class Bounds:
    """Checks versions against the bounds; remembers the last changes."""

    def __init__(self, limits: VersionBounds | None = None) -> None:
        self._limits = limits or VersionBounds()
        self._seen: deque[dict[str, float]] = deque(maxlen=self._limits.remembered)
        self._passed: VersionId = (0, 0)

    def check(self, before: ModelState, delta: Delta, after: ModelState) -> None:
        """Check a version and remember its change. A version read again after a rollback was checked the first time.

        Raises:
            OutOfBounds: it is implausible or its change unusual; the change is not remembered.
        """
        version = (delta.manifest.epoch, delta.manifest.seq)
        if version > self._passed:
            self._check_outputs(after, delta.manifest.version)
            if delta.manifest.parent:
                self._check_change(before, delta, after)
            self._passed = version

    def _check_change(self, before: ModelState, delta: Delta, after: ModelState) -> None:
        version, change = delta.manifest.version, _norms(before, delta)
        changed = {name: _changed(before, delta, name) for name in before.tables}
        drawn_from = {
            name: _widened(ids, before.tables[name].ids[1:], self._usual(f"{_ROWS_OF}{name}", len(ids)))
            for name, ids in changed.items()
        }
        for suffix, moved in zip(("", _ROWS), golden_requests.shifts(before, after, drawn_from), strict=True):
            names = output_names(after.config.heads)
            change |= {f"{output}{suffix}": float(shift) for output, shift in zip(names, moved, strict=True)}
        if not np.isfinite([*change.values()]).all():
            message = f"version {version} scores some golden requests with values that are not numbers"
            raise OutOfBounds(message, check=SHIFT)
        if not any(change.values()):
            return
        samples = max(delta.manifest.stats.get(_SAMPLES, 1.0), 1.0)
        if len(self._seen) >= self._limits.versions:
            more = max(samples / self._usual(_SAMPLES, samples), 1.0)
            for name, value in change.items():
                self._check_value(name, value, version=version, more=more)
        counts = {f"{_ROWS_OF}{name}": float(len(ids)) for name, ids in changed.items()}
        self._seen.append({**change, **counts, _SAMPLES: samples})

    def _check_outputs(self, after: ModelState, version: str) -> None:
        outputs = golden_requests.scores(after)
        if not np.isfinite(outputs).all():
            message = f"version {version} scores some golden requests with values that are not numbers"
            raise OutOfBounds(message, check=SHIFT)
        limits = self._limits
        for head, values in zip(after.config.heads.ordered, outputs.T, strict=False):  # the last is the blend
            mean, least, most, unit = float(values.mean()), limits.log_odds_least, limits.log_odds_most, "log-odds"
            if head.kind == "seconds":
                mean, least, most, unit = float(np.expm1(mean)), 0.0, limits.seconds_most, "seconds"
            if not least <= mean <= most:
                message = (
                    f"version {version} predicts {mean:.3g} {unit} of {head.name} for the golden requests; {least:g} "
                    f"to {most:g} is plausible"
                )
                raise OutOfBounds(message, check=SHIFT)

    def _usual(self, name: str, otherwise: float) -> float:
        return float(np.median([change[name] for change in self._seen if name in change] or [otherwise]))

    def _check_value(self, name: str, value: float, *, version: str, more: float) -> None:
        limits, usual = self._limits, self._usual(name, value)
        if name not in TABLES:  # an output of the golden requests
            whole = not name.endswith(_ROWS)
            times = (limits.shift_times if whole else limits.rows_times) * more
            if value > max(times * usual, limits.shift_least if whole else limits.rows_least):
                message = (
                    f"version {version} moves {name} of the golden requests by {value:.2f}, usual is {usual:.2f}, "
                    f"at most {times:g} times that"
                )
                raise OutOfBounds(message, check=SHIFT)
        elif usual > 0 and value > limits.norm_times * more * usual:
            message = (
                f"version {version} changes a row of table {name} by {value:.3g}, usual is {usual:.3g}, "
                f"at most {limits.norm_times * more:g} times that"
            )
            raise OutOfBounds(message, check=NORM)


def _norms(before: ModelState, delta: Delta) -> dict[str, float]:
    """Root mean square length of a row's change, for each table that changes."""
    norms: dict[str, float] = {}
    for name, update in delta.update.tables.items():
        if len(update.ids):
            table = before.tables[name]
            change = update.rows.astype(np.float64) - table.rows(table.find(update.ids))
            norms[name] = float(np.sqrt(np.square(change).sum(axis=1).mean()))
    return norms


def _changed(before: ModelState, delta: Delta, table: str) -> Ids:
    """The ids of a table that a version changes, without new ones."""
    update, rows = delta.update.tables.get(table), before.tables[table]
    if update is None:
        return np.zeros(0, np.int64)
    return update.ids[(update.ids != 0) & (rows.find(update.ids) != 0)]


def _widened(ids: Ids, others: Ids, count: float) -> Ids:
    """`ids`, filled up to `count` with evenly spaced ones of the others; all others if both are 0."""
    if not len(ids) and not count:
        return others
    missing = min(int(count) - len(ids), len(others))
    return ids if missing <= 0 else np.concatenate([ids, others[np.linspace(0, len(others) - 1, missing, dtype=int)]])
