"""How far a feature's values have moved: the population stability index (PSI) against a reference, in pure numpy.

The bins part the reference by its deciles; PSI is the sum over bins of (p - q) ln(p / q), p the share of the values
now and q that of the reference. Above 0.2 is usually called a shift. Source: Siddiqi 2006, Credit Risk Scorecards.
"""

import numpy as np
from msgspec import Struct

from headrace.models.array_types import Doubles

# By chance alone n values are about 9 (1/n + 1/n) away from n others of the same distribution: 0.18 for 100, 0.06 here.
LEAST_VALUES = 300
_DECILES = np.arange(1, 10) / 10
_BEFOREHAND = 0.5  # values that every bin counts beforehand, so that an empty one gives no infinity


class Reference(Struct, frozen=True):
    """A distribution: E rising bounds, each the last value of its bin, and the shares of the E + 1 bins."""

    bounds: Doubles
    shares: Doubles


def reference_of(values: Doubles) -> Reference | None:
    """The distribution of a column [N] without its NaN; None below `LEAST_VALUES`.

    >>> reference_of(np.arange(1000.0)).shares.round(2).tolist()
    [0.0, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1]
    """
    known = values[np.isfinite(values)]
    if len(known) < LEAST_VALUES:
        return None
    below = np.nextafter(known.min(), -np.inf)  # a bin for what the reference never had: a constant that falls shows
    bounds = np.unique([below, *np.quantile(known, _DECILES)])
    return Reference(bounds, _shares(bounds, known))


def psi(reference: Reference, values: Doubles) -> float:
    """How far a column [N] is from the reference; NaN below `LEAST_VALUES` known values.

    >>> reference = reference_of(np.arange(1000.0))
    >>> psi(reference, np.arange(1000.0))
    0.0
    >>> psi(reference, np.arange(1000.0) + 300) > 0.2
    True
    """
    known = values[np.isfinite(values)]
    if len(known) < LEAST_VALUES:
        return np.nan
    shares = _shares(reference.bounds, known)
    return float(((shares - reference.shares) * np.log(shares / reference.shares)).sum())


def null_ratio(values: Doubles) -> float:
    """Share of NaN in a column [N]; NaN where there are no items.

    >>> null_ratio(np.array([1.0, np.nan, np.nan, 2.0]))
    0.5
    """
    return _mean(np.isnan(values).astype(np.float64))


def mean(values: Doubles) -> float:
    """Mean of a column [N] without its NaN; NaN where nothing is known."""
    return _mean(values[np.isfinite(values)])


def _mean(values: Doubles) -> float:
    return float(values.mean()) if len(values) else np.nan


def _shares(bounds: Doubles, known: Doubles) -> Doubles:
    counts = np.bincount(bounds.searchsorted(known), minlength=len(bounds) + 1) + _BEFOREHAND
    return counts / counts.sum()
