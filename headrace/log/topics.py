"""Creates topics as declared in `schemas/topics.py`, compares them with it, and removes them."""

from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType  # pyright: ignore[reportPrivateImportUsage]

from connections.kafka_clients import admin
from headrace.errors import EnvironmentProblem
from schemas.topics import Topic


def create_topics(bootstrap: str, topics: tuple[Topic, ...]) -> list[str]:
    """Create the topics that do not exist; returns their names.

    Raises:
        EnvironmentProblem: a topic exists with another partition count or setting than declared. Partition counts
            are never changed in place, because the order of records depends on them.
    """
    client = admin(bootstrap)
    present = client.list_topics(timeout=20).topics
    absent = [topic for topic in topics if topic.name not in present]
    new = [NewTopic(t.name, num_partitions=t.partitions, replication_factor=1, config=t.config()) for t in absent]
    for future in client.create_topics(new).values() if new else ():
        future.result()
    check_topics(client, tuple(topic for topic in topics if topic.name in present))
    return [topic.name for topic in absent]


def remove_topics(bootstrap: str, names: list[str]) -> list[str]:
    """Remove those of these topics that exist; returns their names."""
    client = admin(bootstrap)
    present = client.list_topics(timeout=20).topics
    found = [name for name in names if name in present]
    for future in client.delete_topics(found).values() if found else ():
        future.result()
    return found


def check_topics(client: AdminClient, topics: tuple[Topic, ...]) -> None:
    """Compare topics on the broker with their declaration. Raises as `create_topics` does."""
    if not topics:
        return
    problems: list[str] = []
    present = client.list_topics(timeout=20).topics
    resources = {topic.name: ConfigResource(ResourceType.TOPIC, topic.name) for topic in topics}
    described = {
        resource.name: future.result() for resource, future in client.describe_configs(list(resources.values())).items()
    }
    for topic in topics:
        partitions = len(present[topic.name].partitions)
        if partitions != topic.partitions:
            problems.append(f"{topic.name} has {partitions} partitions, schemas/topics.py says {topic.partitions}")
        for key, expected in topic.config().items():
            seen = described[topic.name][key].value
            if sorted(seen.split(",")) != sorted(expected.split(",")):
                problems.append(f"{topic.name} has {key}={seen}, schemas/topics.py says {expected}")
    if problems:
        message = (
            "; ".join(problems) + ". Create a new topic and switch to it; on a laptop, run `headrace down --wipe`."
        )
        raise EnvironmentProblem(message)
