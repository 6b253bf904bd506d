"""F112, a warning: a window longer than the retention of the topic that a replay or a backfill reads.

It applies to aggregates with a window. Decayed aggregates are exempt, because what they
lack after a replay fades away.
"""

from headrace.lang.errors.report import Report
from headrace.lang.plan.clean_topic import clean_topic
from headrace.lang.plan.source import Source
from headrace.lang.planner.calls import feature_name
from headrace.lang.syntax.duration import LIFETIME, Duration, format_duration
from headrace.lang.syntax.tree import GroupTree
from headrace.schemas.topics import EVENTS


def warn_of_short_retention(tree: GroupTree, source: Source, report: Report) -> None:
    """Warn, once for the group, about measures with a window longer than the clean topic is kept."""
    long = [(each.alias, w) for each in tree.measures for w in each.windows if w.length_ms > source.retain_ms]
    if long:
        keeps = format_duration(source.retain_ms)
        features = ", ".join(f"{feature_name(alias.text, window)} ({window.short})" for alias, window in long)
        cause = f"topic {clean_topic(source)} keeps {keeps}, less than the window of {features}"
        longest = max((window for _, window in long), key=lambda window: window.length_ms)
        fix = f"{_longer_retention(source, longest)}, use a window of {keeps} or less, or accept that a replay or a"
        report.warn("F112", long[0][0].span, cause=cause, fix=f"{fix} backfill starts with {keeps} of events")


def _longer_retention(source: Source, window: Duration) -> str:
    """How to keep the clean topic as long as a window; the clickstream's retention is not declared in its source."""
    if source.topic == EVENTS.name:
        return "set topics.retention_days of the environment (docs/connect.md)"
    least = window.short if window == LIFETIME else f"{window.short} or more"
    return f"set `retain` of the source to {least}"
