"""Clients of Kafka and Redis are each created by one module, so that a connection setting reaches all of them."""

import ast

from tests.support.paths import REPOSITORY

PACKAGES = [
    "lang",
    "models",
    "connections",
    "store",
    "udfs",
    "jobs",
    "learner",
    "serving",
    "simulator",
    "headrace",
    "benchmarks",
]
FACTORIES = {"connections/kafka_clients.py", "connections/redis_clients.py"}
CLIENTS = {
    "Consumer",
    "Producer",
    "AdminClient",
    "KafkaConsumer",
    "KafkaProducer",
    "Redis",
    "RedisCluster",
    "Sentinel",
    "AsyncSentinel",
}


def test_no_other_module_creates_a_client() -> None:
    root = REPOSITORY
    created = []
    for path in (path for package in PACKAGES for path in sorted((root / package).rglob("*.py"))):
        name = path.relative_to(root).as_posix()
        if name in FACTORIES or name.startswith(
            "benchmarks/peers/"
        ):  # a peer is written as another team would write it
            continue
        calls = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))
        for call in calls:
            called = ast.unparse(call.func)
            if called.removesuffix(".from_url").split(".")[-1] in CLIENTS:
                created.append(f"{name}:{call.lineno} {called}")
    assert created == [], "use connections.kafka_clients or connections.redis_clients"
