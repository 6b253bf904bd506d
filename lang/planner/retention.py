"""F112, a warning: a window longer than the retention of the topic that a replay or a backfill reads.

It applies to aggregates with a window; nothing archives a topic yet. Decayed aggregates are exempt, because what they
lack after a replay fades away.
"""

from lang.errors.report import Report
from lang.plan.clean_topic import clean_topic
from lang.plan.source import Source
from lang.syntax.duration import format_duration
from lang.syntax.tree import GroupTree


def warn_of_short_log(tree: GroupTree, source: Source, report: Report) -> None:
    """Warn, once for the group, about measures with a window longer than the clean topic is kept."""
    long = [each.alias for each in tree.measures if any(w.length_ms > source.retain_ms for w in each.windows)]
    if long:
        keeps = format_duration(source.retain_ms)
        names = ", ".join(alias.text for alias in long)
        cause = f"topic {clean_topic(source)} keeps {keeps}, less than the window of {names}"
        fix = f"use a window of {keeps} or less, or accept that a replay or a backfill starts with {keeps} of events"
        report.warn("F112", long[0].span, cause=cause, fix=fix)
