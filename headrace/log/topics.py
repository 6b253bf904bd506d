"""Creates topics as declared in `schemas/topics.py`, compares them with it, and removes them."""

from collections.abc import Iterable, Mapping

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType  # pyright: ignore[reportPrivateImportUsage]
from msgspec import Struct

from headrace.connections.kafka_clients import admin
from headrace.connections.settings import text, variable
from headrace.errors import EnvironmentProblem
from headrace.schemas.environment import SettingError
from headrace.schemas.topics import PARTITIONS_VARIABLE, Topic

_TIMEOUT_S = 20.0


class TopicState(Struct, frozen=True, kw_only=True):
    """A topic and how it is on the broker: `differences` from its declaration, each a sentence."""

    topic: Topic
    exists: bool
    differences: tuple[str, ...] = ()


def create_topics(bootstrap: str, topics: Iterable[Topic]) -> list[str]:
    """Create the topics that do not exist; returns their names.

    Raises:
        EnvironmentProblem: a topic exists with another partition count or setting than declared, or could not be
            created. Partition counts are never changed in place, because the order of records depends on them.
    """
    client = admin(bootstrap)
    states = topic_states(client, topics)
    refuse_differences(states)
    absent = [each.topic for each in states if not each.exists]
    copies = replication()
    new = [NewTopic(t.name, num_partitions=t.partitions, replication_factor=copies, config=t.config()) for t in absent]
    for name, future in client.create_topics(new).items() if new else ():
        try:
            future.result()
        except KafkaException as error:
            message = f"topic {name} could not be created: {error.args[0].str()}"
            raise EnvironmentProblem(message) from error
    return [topic.name for topic in absent]


def replication() -> int:
    """Copies of each partition of a new topic.

    Raises:
        SettingError: the setting is not a positive number.
    """
    given = text("topics.replication", "1")
    if not given.isdecimal() or int(given) < 1:
        message = f"{variable('topics.replication')} is {given!r}, must be a positive number"
        raise SettingError(message)
    return int(given)


def remove_topics(bootstrap: str, names: list[str]) -> list[str]:
    """Remove those of these topics that exist; returns their names."""
    client = admin(bootstrap)
    present = client.list_topics(timeout=_TIMEOUT_S).topics
    found = [name for name in names if name in present]
    for future in client.delete_topics(found).values() if found else ():
        future.result()
    return found


def topic_states(client: AdminClient, topics: Iterable[Topic]) -> list[TopicState]:
    """Compare topics with the broker's."""
    wanted = [*topics]
    partitions = {name: len(each.partitions) for name, each in client.list_topics(timeout=_TIMEOUT_S).topics.items()}
    present = [topic.name for topic in wanted if topic.name in partitions]
    resources = [ConfigResource(ResourceType.TOPIC, name) for name in present]
    described = client.describe_configs(resources) if resources else {}
    configs = {resource.name: future.result() for resource, future in described.items()}
    return [_state(topic, partitions.get(topic.name, 0), configs.get(topic.name)) for topic in wanted]


def refuse_differences(states: Iterable[TopicState]) -> None:
    """Raise EnvironmentProblem if a topic differs from its declaration."""
    if problems := [difference for state in states for difference in state.differences]:
        message = (
            f"{'; '.join(problems)}. schemas/topics.py and {PARTITIONS_VARIABLE} declare them: make both sides agree, "
            "or create a new topic and switch to it; on a laptop, `headrace down --wipe` begins again."
        )
        raise EnvironmentProblem(message)


def _state(topic: Topic, partitions: int, config: Mapping[str, object] | None) -> TopicState:
    if config is None:
        return TopicState(topic=topic, exists=False)
    return TopicState(topic=topic, exists=True, differences=_differences(topic, partitions, config))


def _differences(topic: Topic, partitions: int, config: Mapping[str, object]) -> tuple[str, ...]:
    found: list[str] = []
    if partitions != topic.partitions:
        found.append(f"{topic.name} has {partitions} partitions, {topic.partitions} are declared")
    for key, expected in topic.config().items():
        seen = str(getattr(config[key], "value", ""))
        if sorted(seen.split(",")) != sorted(expected.split(",")):
            found.append(f"{topic.name} has {key}={seen}, schemas/topics.py says {expected}")
    return tuple(found)
