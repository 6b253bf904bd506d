"""Sequences: what a store keeps of each row, and the number computed from the rows of a key.

| function | a store keeps | without rows |
|---|---|---|
| last_n, last, percentile | the newest rows by (event time, event id) | an empty list, NULL, NULL |
| first | the oldest | NULL |
| seconds_since_last | the newest | NULL |
| count_distinct | each value once, at its newest time | 0 |
| approx_distinct | each cell of a sketch once, at its newest time | 0 |
"""

from collections.abc import Callable
from collections.abc import Sequence as Many

import numpy as np

from headrace.lang.aggregates.hyperloglog import cell_of, estimate
from headrace.lang.plan.plan import Sequence, SequenceFunction

_ONCE: tuple[SequenceFunction, ...] = ("count_distinct", "approx_distinct")
NUMBERS: tuple[SequenceFunction, ...] = ("last", "first", "percentile")
"""Functions whose payloads are read as numbers."""


def keeps_distinct(sequence: Sequence) -> bool:
    """Whether a store keeps one row per distinct payload, at its newest time, instead of one per event."""
    return sequence.function in _ONCE


def stored_payload(sequence: Sequence, payload: str) -> str:
    """The form in which a store keeps a row's payload."""
    return cell_of(payload) if sequence.function == "approx_distinct" else payload


def sequence_value(sequence: Sequence, payloads: Many[str]) -> float:
    """The feature's value from its payloads, newest first (`first`: oldest first); NaN for NULL."""
    return _VALUES[sequence.function](payloads, sequence.quantile)


def _end(payloads: Many[str], _: float) -> float:
    return float(payloads[0]) if payloads else np.nan


def _percentile(payloads: Many[str], quantile: float) -> float:
    """Interpolates between two values, as SQL's PERCENTILE_CONT; the bits of `np.quantile`, without its many steps."""
    if not payloads:
        return np.nan
    values = sorted(map(float, payloads))
    rank = (len(values) - 1) * quantile
    below = int(rank)
    low, high, share = values[below], values[min(below + 1, len(values) - 1)], rank - below
    return high - (high - low) * (1 - share) if share >= 0.5 else low + (high - low) * share


_VALUES: dict[SequenceFunction, Callable[[Many[str], float], float]] = {
    "last": _end,
    "first": _end,
    "percentile": _percentile,
    "count_distinct": lambda payloads, _: float(len(payloads)),
    "approx_distinct": lambda payloads, _: estimate(payloads),
}
