"""F130: a feature that a label could leak into.

A sample has the features that were served with it, so training never sees a label in its own features. But a feature
computed later, by `get --at` or a backfill, sees everything kept under its key. The rule checks only the key: a group
keyed by the request, or by the event itself, holds nothing but the feedback that the request's labels are made of.
The future needs no rule: a read at t sees only what was received by t.
"""

from collections.abc import Iterable

from headrace.lang.errors.report import Report
from headrace.lang.plan.source import Source
from headrace.lang.syntax.tree import Name


def refuse_own_label(entity: Iterable[Name], source: Source, report: Report) -> None:
    """Add an error for every entity column that lets a label into its own features."""
    for name in entity:
        if name.text in (source.roles.request, source.dedupe):
            cause = f"a feature per {name.text} is computed from the events that its own label is computed from"
            fix = f"group by a user, an item or something they share, such as {source.roles.user} or category"
            report.add("F130", name.span, cause=cause, fix=fix)
