"""`headrace dead`: lists dead letters, counts them, or sends their records again."""

from typing import Annotated

from cyclopts import Parameter

from headrace.errors import Busy
from headrace.lang.planner.load import load_plan
from headrace.layout import FEATURES, Layout
from headrace.log import dead_letters, redrive
from headrace.run_command import say
from headrace.store.kafka.resumable_writer import Superseded


def dead(
    *,
    reason: str = "",
    topic: str = "",
    count: int = 20,
    by_reason: bool = False,
    json: bool = False,
    redrive_records: Annotated[bool, Parameter(name="--redrive", negative="")] = False,
) -> None:
    """List dead letters, newest first: records that ingest or another consumer could not use.

    Args:
        reason: only those whose reason starts with this code.
        topic: only records of this topic.
        count: records to list.
        by_reason: print counts by topic and reason instead.
        json: print JSON.
        redrive_records: after a fix, write the records that ingest refused to their topic again, each once.
    """
    endpoints, selected = Layout.here().endpoints(), dead_letters.DeadLetterFilter(reason=reason, topic=topic)
    if redrive_records:
        topics = {source.topic for source in load_plan(FEATURES).sources}
        try:
            found = redrive.redrive(endpoints.bootstrap, dead_letters.read(endpoints, selected), topics=topics)
        except Superseded as error:
            raise Busy(str(error)) from error
        for line in found.lines():
            say(line)
    elif by_reason:
        dead_letters.show_counts(dead_letters.read(endpoints, selected), as_json=json)
    else:
        dead_letters.show(dead_letters.read(endpoints, selected), count=count, as_json=json)
