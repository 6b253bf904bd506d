"""F130: a feature that a label could leak into.

A sample's features are those that were served with it, so what is learnt from never knew its label. A feature that is
computed again later, by `get --at` or a backfill, knows whatever is kept by its key. Judged is the key alone: what is
keyed by the request, or by the event itself, holds the very feedback that the request's labels are made of, and
nothing else. What lies in the future needs no rule: a read at t sees only what was received by t.
"""

from collections.abc import Iterable

from lang.errors.report import Report
from lang.plan.source import Source
from lang.syntax.tree import Name

SLATE = "request_id"
"""The column that says which slate an event is feedback to."""


def refuse_own_label(entity: Iterable[Name], source: Source, report: Report) -> None:
    """Note every entity column that leaves a label in its own features."""
    for name in entity:
        if name.text in (SLATE, source.dedupe):
            cause = f"a feature of one {name.text} is made of the events that its own label is made of"
            fix = "group by a user, an item or what they share, such as user_id or category"
            report.add("F130", name.span, cause=cause, fix=fix)
