"""The ranker's dense inputs, computed from feature values.

Serving and replay both call `assemble`. The exposure carries the floats that serving computed, so a sample is learned
from the exact floats it was scored with. Every column is a pure function of its values; the three rank columns also
depend on the other candidates of the request.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from headrace.models.array_types import Doubles, Flags, Floats
from headrace.schemas.ranker_inputs import SHIPPED, Column, Side

COLUMNS, MISSING, RANKED = SHIPPED.columns, SHIPPED.missing, SHIPPED.ranked
DENSE, FEATURE_SET = SHIPPED.dense, SHIPPED.feature_set
USER_INPUTS, ITEM_INPUTS, CROSS_INPUTS = SHIPPED.of("user"), SHIPPED.of("item"), SHIPPED.of("cross")

_LIMIT = 3.0
_LARGEST = 1e15
_INDEX = {column.name: index for index, column in enumerate(COLUMNS)}
_MISSING = np.array([_INDEX[name] for name in MISSING])
_RANKED = np.array([_INDEX[name] for name in RANKED])
_OF_USER = len(USER_INPUTS)  # the first columns, which are the same for all candidates
_SIDES: dict[Side, dict[str, int]] = {
    "user": {name: _INDEX[name] for name in USER_INPUTS},
    "item": {name: _INDEX[name] for name in ITEM_INPUTS},
    "cross": {name: _INDEX[name] for name in CROSS_INPUTS},
}


def assemble(
    count: int,
    *,
    user: Mapping[str, float],
    items: Mapping[str, Doubles],
    crosses: Mapping[str, Doubles],
    apart: int = 0,
) -> Floats:
    """Compute the dense inputs of one user's candidates.

    Args:
        count: C, the number of candidates.
        apart: the last ones of them, whose presence must not change the inputs of the others.
        user: value by name, of `USER_INPUTS`; absent or NaN is missing.
        items: column [C] by name, of `ITEM_INPUTS`.
        crosses: column [C] by name, of `CROSS_INPUTS`, for pairs of this user and each candidate.

    Returns:
        float32 [C, F] in the order of `DENSE`; always finite.

    Raises:
        ValueError: a name is not an input, or a column's length is not `count`.
    """
    raw = np.full((len(COLUMNS), count), np.nan)
    _fill(raw, "user", values=user)
    _fill(raw, "item", values=items)
    _fill(raw, "cross", values=crosses)
    missing = ~np.isfinite(raw)
    raw[missing] = 0.0
    np.clip(raw, -_LARGEST, _LARGEST, out=raw)  # prevents overflow in what follows
    out = np.empty((count, len(DENSE)), np.float32)  # [C, columns + missing + ranked]
    out[:, len(COLUMNS) : len(COLUMNS) + len(MISSING)] = missing[_MISSING].T
    out[:, len(COLUMNS) + len(MISSING) :] = _ranks(raw[_RANKED], apart=apart).T
    out[:, :_OF_USER] = _USER.scaled(raw[:_OF_USER, :1], missing[:_OF_USER, :1]).T
    out[:, _OF_USER : len(COLUMNS)] = _REST.scaled(raw[_OF_USER:], missing[_OF_USER:]).T
    return out


class _Block:
    """Neighbouring columns, computed together: R of them."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._scale = np.array([column.scale for column in columns])[:, None]
        self._log, self._rate, self._odds = (
            np.array([index for index, column in enumerate(columns) if column.shape == shape], np.int64)
            for shape in ("log", "rate", "odds")
        )

    def scaled(self, raw: Doubles, missing: Flags) -> Doubles:
        """Transform and scale values [R, C], in place."""
        raw[self._log] = np.log1p(np.maximum(raw[self._log], 0.0))
        raw[self._rate] = np.log((np.maximum(raw[self._rate], 0.0) + 0.001) / 0.05)
        share = np.clip(raw[self._odds], 0.0, 1.0)
        raw[self._odds] = np.log((share + 0.001) / (1.001 - share))
        raw[missing] = 0.0  # a missing rate is the 5 % prior, missing odds are 1:1
        raw *= self._scale
        return np.clip(raw, -_LIMIT, _LIMIT, out=raw)


_USER, _REST = _Block(COLUMNS[:_OF_USER]), _Block(COLUMNS[_OF_USER:])


def _fill(raw: Doubles, side: Side, *, values: Mapping[str, float] | Mapping[str, Doubles]) -> None:
    inputs, count = _SIDES[side], raw.shape[1]
    for name, value in values.items():
        if name not in inputs:
            message = f"{name!r} is not a {side} input of feature set {FEATURE_SET}; these are {sorted(inputs)}"
            raise ValueError(message)
        if isinstance(value, np.ndarray) and value.shape != (count,):
            message = f"{name} has {len(value)} values for {count} candidates; give one each"
            raise ValueError(message)
        raw[inputs[name]] = value


def _ranks(values: Doubles, *, apart: int = 0) -> Doubles:
    """Return the share of candidates that each one beats, ties shared; 0.5 for a single one. [R, C] -> [R, C].

    The last `apart` candidates are compared with all, the others only with each other.
    """
    count = values.shape[1]
    if count < 2:
        return np.full_like(values, 0.5)
    ranks = np.empty_like(values)
    for row, each in enumerate(values):
        ranks[row] = _ranks_in_column(each, count - apart)
    return ranks


def _ranks_in_column(values: Doubles, first: int) -> Doubles:
    """Ranks of one column [C]: of the first candidates among themselves, of the rest among all."""
    ranks = np.empty_like(values)
    order = values[:first].argsort()
    ordered = values[order]
    ranks[order] = _share(ordered, ordered)  # ascending, so each search begins where the last one ended
    if first < len(values):
        ranks[first:] = _share(np.sort(values), values[first:])
    return ranks


def _share(ordered: Doubles, values: Doubles) -> Doubles:
    """The share of ascending values that each of some of them beats, ties shared; 0.5 among one."""
    if len(ordered) < 2:
        return np.full_like(values, 0.5)
    below = ordered.searchsorted(values, side="left")
    upto = ordered.searchsorted(values, side="right")
    return (below + upto - 1) / (2 * (len(ordered) - 1))
