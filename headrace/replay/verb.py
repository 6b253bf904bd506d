"""`headrace replay`: a recorded log from a file, or the records of a topic between two times."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from headrace.console import progress
from headrace.errors import Busy, EnvironmentProblem, UsageProblem
from headrace.lang.planner.load import load_plan
from headrace.layout import FEATURES, Layout
from headrace.replay import command
from headrace.replay.topic_replay import ReplayRequest, replay_topic
from headrace.run_command import say
from headrace.schemas.topics import full_name
from headrace.serving.offline.log_writer import NotWritten
from headrace.store.kafka.resumable_writer import Superseded
from headrace.timestamps import parse_end, parse_time


def replay(
    file: Path | None = None,
    *,
    format: str = "",
    speed: str = "max",
    topic: str = "",
    begin: Annotated[str, Parameter(name="--from")] = "",
    to: str = "",
    archive: str = "",
    into: str = "",
    per_s: float = 0.0,
) -> None:
    """Send a recorded log through the whole pipeline, or write a topic's records of a time once more.

    Args:
        file: a recording.
        format: of the recording: kuairand or movietweetings.
        speed: recorded seconds to send per second, or max.
        topic: the topic to read again; the same command continues if it was interrupted.
        begin: records appended from this time on, such as 2026-11-22T03:00; by default all.
        to: records appended before this time; by default all that are there when the replay begins.
        archive: read from this archive instead of the log.
        into: the topic to write, which is created if it does not exist; by default TOPIC.replay.
        per_s: records per second at most; 0 for no limit.
    """
    if (file is None) == (not topic):
        message = "name a recording (FILE --format kuairand) or a topic (--topic events --from … --to …)"
        raise UsageProblem(message)
    if file is not None:
        return _replay_recording(file, format, speed)
    request = ReplayRequest(
        topic=full_name(topic),
        from_ms=parse_time(begin) if begin else 0,
        to_ms=parse_end(to) + 1 if to else None,
        into=into or f"{full_name(topic)}.replay",
        archive=archive,
        raw=_is_raw(full_name(topic)),
        per_s=per_s,
    )
    return _replay_topic(request)


def _replay_recording(file: Path, recording_format: str, speed: str) -> None:
    try:
        command.run(Layout.here(), file, recording_format=recording_format, speed=speed, say=say)
    except NotWritten as error:  # a problem of the machine
        raise EnvironmentProblem(str(error)) from error


def _is_raw(topic: str) -> bool:
    """Whether a topic holds events as clients sent them."""
    return topic in {source.topic for source in load_plan(FEATURES).sources}


def _replay_topic(request: ReplayRequest) -> None:
    bootstrap = Layout.here().endpoints().bootstrap
    with progress() as bar:
        task = bar.add_task(request.into, total=None)
        try:
            coverage = replay_topic(bootstrap, request, on_progress=lambda count: bar.update(task, completed=count))
        except Superseded as error:
            raise Busy(str(error)) from error
    for line in coverage.lines():
        say(line)
