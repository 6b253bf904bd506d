"""`headrace topics …`: the topics that an environment needs, compared with those that it has."""

import sys
from pathlib import Path

import msgspec
from rich.table import Table

from headrace.connections.kafka_clients import admin
from headrace.console import screen
from headrace.errors import EnvironmentProblem, UsageProblem
from headrace.lang.errors.report import LangError
from headrace.lang.plan.plan import Group
from headrace.lang.planner.load import load_plan
from headrace.layout import FEATURES, Layout
from headrace.log.feature_versions import feature_topics, stream_topics_of
from headrace.log.topics import TopicState, create_topics, refuse_differences, replication, topic_states
from headrace.schemas.topics import CONTROL_TOPIC, TOPICS, Topic
from headrace.store.versions import read_versions

_DAY_MS = 86_400_000


def plan(folder: Path = FEATURES) -> None:
    """Show the topics that are needed, and whether each exists as declared.

    Args:
        folder: feature files, for an environment that has no versions yet.
    """
    _show(_states(folder))


def apply(folder: Path = FEATURES) -> None:
    """Create the topics that are missing.

    Args:
        folder: as for plan.
    """
    created = create_topics(Layout.here().endpoints().bootstrap, [each.topic for each in _states(folder)])
    screen().print("\n".join(f"created {name}" for name in created) or "all topics exist already")


def check(folder: Path = FEATURES) -> None:
    """Fail if a topic is missing or differs from its declaration.

    Args:
        folder: as for plan.

    Raises:
        EnvironmentProblem: it does; the message lists all differences.
    """
    states = _states(folder)
    refuse_differences(states)
    if missing := [each.topic.name for each in states if not each.exists]:
        message = f"{', '.join(missing)} do not exist; `headrace topics apply` creates them"
        raise EnvironmentProblem(message)
    screen().print(f"all {len(states)} topics are as declared")


def export(folder: Path = FEATURES) -> None:
    """Print the topics that are needed as JSON, for those who create topics by other means. Nothing is contacted.

    Args:
        folder: feature files whose topics to add.
    """
    copies = replication()
    topics = [
        {"name": each.name, "partitions": each.partitions, "replication_factor": copies, "config": each.config()}
        for each in _needed(folder)
    ]
    sys.stdout.write(f"{msgspec.json.format(msgspec.json.encode(topics)).decode()}\n")


def _states(folder: Path) -> list[TopicState]:
    """The topics of the versions that exist, else those of the feature files."""
    bootstrap = Layout.here().endpoints().bootstrap
    client = admin(bootstrap)
    has_versions = CONTROL_TOPIC.name in client.list_topics(timeout=20).topics
    groups = read_versions(bootstrap).groups() if has_versions else ()
    return topic_states(client, _topics(groups) if groups else _needed(folder))


def _needed(folder: Path) -> tuple[Topic, ...]:
    try:
        groups = load_plan(folder).groups
    except LangError as error:
        raise UsageProblem(str(error)) from error
    return _topics(groups)


def _topics(groups: tuple[Group, ...]) -> tuple[Topic, ...]:
    return (*TOPICS, *stream_topics_of(groups), *feature_topics(groups))


def _show(states: list[TopicState]) -> None:
    table = Table("topic", "partitions", "kept", "state", box=None)
    for each in states:
        state = "; ".join(each.differences) or ("as declared" if each.exists else "missing")
        kept = f"{each.topic.retention_ms // _DAY_MS} days" if each.topic.retention_ms > 0 else "always"
        table.add_row(each.topic.name, str(each.topic.partitions), kept, state)
    screen().print(table)
