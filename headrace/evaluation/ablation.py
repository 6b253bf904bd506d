"""Whether feature groups help: the same log without them, row by row."""

import math
from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from headrace.errors import UsageProblem
from headrace.evaluation.ctr import Predictions
from headrace.evaluation.metrics import Figure, log_losses
from headrace.evaluation.rank import Ranks
from headrace.lang.plan.plan import Plan
from headrace.models.array_types import Doubles


class Ablation(Struct, frozen=True, kw_only=True):
    """What is lost without some groups.

    Attributes:
        groups: their names.
        metric: log_loss of task ctr, which rises, or mrr of the other tasks, which falls, if the groups helped.
        difference: the metric without the groups less the metric with them.
        error: standard error of the difference; rows of one user count as one.
    """

    groups: tuple[str, ...]
    metric: str
    difference: float
    error: float

    @property
    def line(self) -> str:
        """It as a sentence."""
        helps = self.difference if self.metric == "log_loss" else -self.difference
        verdict = "help" if helps > 2 * self.error else "hurt" if helps < -2 * self.error else ""
        if self.difference == self.error == 0:
            verdict = "make no difference"
        figures = f"{self.metric} {self.difference:+.5f} ± {self.error:.5f}"
        said = f"by two standard errors, they {verdict}" if verdict else "the log does not tell whether they help"
        return f"without {', '.join(self.groups)}: {figures}: {said}"


def plan_without(plan: Plan, groups: Sequence[str]) -> Plan:
    """The plan without some groups.

    Raises:
        UsageProblem: it has none of a name.
    """
    known = [group.name for group in plan.groups]
    if unknown := [name for name in groups if name not in known]:
        message = f"--without names {', '.join(unknown)}; the groups are {', '.join(known)}"
        raise UsageProblem(message)
    return Plan(plan.sources, tuple(group for group in plan.groups if group.name not in groups))


def compare_losses(before: Predictions, after: Predictions, users: Sequence[str], *, first: int) -> Figure:
    """Log loss of predictions without less that of predictions with the groups, over the rows from `first` on."""
    one, other = (log_losses(each.chances[first:], each.labels[first:]) for each in (before, after))
    return mean_by_user(other - one, users[first:])


def compare_ranks(before: Ranks, after: Ranks, users: Sequence[str], *, first: int) -> Figure:
    """The same of the reciprocal ranks, over the scored rows."""
    scored = before.scored[first:]
    differences = 1 / after.ranks[first:][scored] - 1 / before.ranks[first:][scored]
    rows = np.flatnonzero(scored)
    return mean_by_user(differences, [users[first + int(row)] for row in rows])


def mean_by_user(values: Doubles, users: Sequence[str]) -> Figure:
    """The mean of values (N,), and its standard error if values of one user depend on each other.

    >>> both = mean_by_user(np.array([1.0, 1.0, -1.0, -1.0]), ["a", "a", "b", "b"])
    >>> round(both.value, 3), round(both.error, 3)
    (0.0, 1.0)

    Source: the cluster-robust variance of a mean, Cameron & Miller 2015, "A Practitioner's Guide to Cluster-Robust
    Inference", with G / (G - 1).
    """
    if not len(values):
        return Figure(math.nan, math.nan)
    mean = float(values.mean())
    _, codes = np.unique(users, return_inverse=True)
    sums = np.bincount(codes, weights=values - mean)
    count = len(sums)
    if count < 2:
        return Figure(mean, math.nan)
    return Figure(mean, math.sqrt(float((sums**2).sum()) * count / (count - 1)) / len(values))
