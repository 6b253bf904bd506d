"""Clients of Kafka and Redis are made in one place each, so that a connection setting reaches all of them."""

import ast
from pathlib import Path

ROOMS = ["lang", "models", "store", "udfs", "jobs", "learner", "serving", "simulator", "headrace", "benchmarks"]
FACTORIES = {"store/kafka_clients.py", "store/connect.py"}
CLIENTS = {"Consumer", "Producer", "AdminClient", "KafkaConsumer", "KafkaProducer", "Redis", "RedisCluster"}


def test_no_other_module_makes_a_client() -> None:
    root = Path(__file__).parents[2]
    made = []
    for path in (path for room in ROOMS for path in sorted((root / room).rglob("*.py"))):
        name = path.relative_to(root).as_posix()
        if name in FACTORIES or name.startswith("benchmarks/peers/"):  # a peer is what another shop would write
            continue
        calls = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))
        for call in calls:
            called = ast.unparse(call.func)
            if called.removesuffix(".from_url").split(".")[-1] in CLIENTS:
                made.append(f"{name}:{call.lineno} {called}")
    assert made == [], "use store.kafka_clients or store.connect"
