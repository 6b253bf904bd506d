"""F112, a warning: a window longer than the topic that a replay or a backfill would read.

Judged for what names a window. Nothing archives a topic yet. Decayed values are not judged: what they lack after a
replay fades away.
"""

from lang.errors.report import Report
from lang.plan.clean_topic import clean_topic
from lang.plan.source import Source
from lang.syntax.duration import format_duration
from lang.syntax.tree import GroupTree


def warn_of_short_log(tree: GroupTree, source: Source, report: Report) -> None:
    """Note, once for the group, its measures with a window that the source's clean topic does not hold."""
    long = [each.alias for each in tree.measures if any(w.length_ms > source.retain_ms for w in each.windows)]
    if long:
        keeps = format_duration(source.retain_ms)
        names = ", ".join(alias.text for alias in long)
        cause = f"topic {clean_topic(source)} keeps {keeps}, less than the window of {names}"
        fix = f"know that a replay or a backfill starts with {keeps}, or use a window of {keeps} or less"
        report.warn("F112", long[0].span, cause=cause, fix=fix)
