"""F112, a warning: a window longer than the topic that a replay or a backfill would read.

Judged where the source's clean topic is one of `schemas.topics`, for what names a window. Nothing archives a topic yet.
Decayed values are not judged: what they lack after a replay fades away.
"""

from lang.clean import clean_topic
from lang.duration import written
from lang.errors import Report
from lang.source import Source
from lang.tree import GroupTree
from schemas.topics import TOPICS


def warn_of_short_log(tree: GroupTree, source: Source, report: Report) -> None:
    """Note, once for the group, its measures with a window that the topic does not hold."""
    for topic in TOPICS:
        if topic.name != clean_topic(source) or topic.retention_ms < 0:
            continue
        long = [each.alias for each in tree.measures if any(w.length_ms > topic.retention_ms for w in each.windows)]
        if long:
            keeps = written(topic.retention_ms)
            names = ", ".join(alias.text for alias in long)
            cause = f"topic {topic.name} keeps {keeps}, less than the window of {names}"
            fix = f"know that a replay or a backfill starts with {keeps}, or use a window of {keeps} or less"
            report.warn("F112", long[0].span, cause=cause, fix=fix)
