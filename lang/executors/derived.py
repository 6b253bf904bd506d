"""Derived features of K keys: over columns, or key by key if there are few, for which numpy's calls cost most."""

from math import isfinite

import numpy as np
from msgspec import Struct

from headrace.lang.expressions.per_column import Floats, derive
from headrace.lang.expressions.per_key import Evaluation, compile_for_key
from headrace.lang.plan.plan import OVER_ALL, Group


def missing_of(group: Group) -> float:
    """The number that replaces NULL."""
    return 0.0 if group.on_missing == "zero" else np.nan


def add_derived(group: Group, numbers: dict[str, Floats], keys: int) -> dict[str, Floats]:
    """Add the features that are derived from the numbers, (K,) each, in place, and return all.

    With `over_all`, the last key must be EVERYTHING.
    """
    if group.over_all:
        numbers |= {OVER_ALL + name: np.full_like(values, values[-1]) for name, values in numbers.items()}
    for derived in group.derived:
        values = derive(derived.expression, numbers, rows=keys)
        numbers[derived.name] = np.where(np.isfinite(values), values, missing_of(group))
    return numbers


class Derivation(Struct, frozen=True):
    """The derived features of a group for a few keys: a function of the other features for each.

    `missing` replaces NULL.
    """

    functions: tuple[tuple[str, Evaluation], ...]
    over_all: bool
    missing: float

    def add_to(self, numbers: dict[str, Floats]) -> None:
        """The same as `add_derived`."""
        if not self.functions:
            return
        features = [dict(zip(numbers, row, strict=True)) for row in np.array([*numbers.values()]).T.tolist()]
        if self.over_all:
            everything = {OVER_ALL + name: value for name, value in features[-1].items()}
            features = [row | everything for row in features]
        for name, function in self.functions:
            for row in features:
                value = function(row)
                row[name] = value if isfinite(value) else self.missing
            numbers[name] = np.array([row[name] for row in features])


def derivation_of(group: Group) -> Derivation | None:
    """None if an expression must be evaluated over columns."""
    functions = [(each.name, compile_for_key(each.expression)) for each in group.derived]
    compiled = tuple((name, function) for name, function in functions if function is not None)
    return Derivation(compiled, group.over_all, missing_of(group)) if len(compiled) == len(functions) else None
