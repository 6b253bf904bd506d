"""The ranker's dense inputs, computed from feature values.

Serving and replay both use an `Assembler`. The exposure carries the floats that serving computed, so a sample is
learned from the exact floats it was scored with. Every column is a pure function of its values; rank columns also
depend on the other candidates of the request.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from headrace.models.array_types import Doubles, Flags, Floats
from headrace.schemas.model.ranker_inputs import SHIPPED, SIDES, Column, Inputs, Side

DENSE, FEATURE_SET = SHIPPED.dense, SHIPPED.feature_set
"""Of the inputs over the shipped groups."""

_LIMIT = 3.0
_LARGEST = 1e15


class Assembler:
    """Computes the vectors of some inputs."""

    def __init__(self, inputs: Inputs = SHIPPED) -> None:
        self.inputs = inputs
        self.feature_set = inputs.feature_set
        self._width = len(inputs.dense)
        index = {column.name: index for index, column in enumerate(inputs.columns)}
        self._missing = np.array([index[name] for name in inputs.missing], np.int64)
        self._ranked = np.array([index[name] for name in inputs.ranked], np.int64)
        self._of_user = len(inputs.of("user"))  # the first columns, which are the same for all candidates
        self._sides = {side: {name: index[name] for name in inputs.of(side)} for side in SIDES}
        self._user, self._rest = _Block(inputs.columns[: self._of_user]), _Block(inputs.columns[self._of_user :])

    def assemble(
        self,
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
            user: value by name, of the user's columns; absent or NaN is missing.
            items: column [C] by name, of the items' columns.
            crosses: column [C] by name, of the columns for pairs of this user and each candidate.

        Returns:
            float32 [C, F] in the order of `Inputs.dense`; always finite.

        Raises:
            ValueError: a name is not an input, or a column's length is not `count`.
        """
        columns, missed = len(self.inputs.columns), len(self._missing)
        raw = np.full((columns, count), np.nan)
        self._fill(raw, "user", values=user)
        self._fill(raw, "item", values=items)
        self._fill(raw, "cross", values=crosses)
        missing = ~np.isfinite(raw)
        raw[missing] = 0.0
        np.clip(raw, -_LARGEST, _LARGEST, out=raw)  # prevents overflow in what follows
        out = np.empty((count, self._width), np.float32)  # [C, columns + missing + ranked]
        out[:, columns : columns + missed] = missing[self._missing].T
        out[:, columns + missed :] = _ranks(raw[self._ranked], apart=apart).T
        of_user = self._of_user
        out[:, :of_user] = self._user.scaled(raw[:of_user, :1], missing[:of_user, :1]).T
        out[:, of_user:columns] = self._rest.scaled(raw[of_user:], missing[of_user:]).T
        return out

    def _fill(self, raw: Doubles, side: Side, *, values: Mapping[str, float] | Mapping[str, Doubles]) -> None:
        inputs, count = self._sides[side], raw.shape[1]
        for name, value in values.items():
            if name not in inputs:
                known = f"these are {sorted(inputs)}"
                message = f"{name!r} is not a {side} input of feature set {self.feature_set}; {known}"
                raise ValueError(message)
            if isinstance(value, np.ndarray) and value.shape != (count,):
                message = f"{name} has {len(value)} values for {count} candidates; give one each"
                raise ValueError(message)
            raw[inputs[name]] = value


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
