"""A Redis Cluster of three nodes stores everything and reads it back; an entity is on one slot."""

from collections.abc import Iterator
from itertools import groupby

import pytest
import redis
from redis.cluster import RedisCluster

from headrace.connections.redis_clients import Client, StoreError, connect
from headrace.features.parity import compare
from headrace.lang.expressions.per_event import Event
from headrace.lang.testfiles.runner import values_agree
from headrace.schemas.redis_keys import owner_of
from headrace.store.memory_store import MemoryStore
from headrace.store.redis.budget import free_bytes
from headrace.store.redis.reader import FeatureReader, FeatureRequest
from headrace.store.redis.usage import measure_usage
from tests.support import cluster
from tests.support.comparison import features
from tests.support.law_groups import PLAN
from tests.support.store_writes import Delivery, rows_of

NOW_MS = 1_767_225_600_000
OWNERS = 300


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[redis.Redis]]:
    with cluster.running(tmp_path_factory.mktemp("cluster")) as nodes:
        yield nodes


@pytest.fixture(scope="module")
def memory() -> MemoryStore:
    """The events of three hundred users and items, in memory."""
    memory = MemoryStore(PLAN)
    for event in EVENTS:
        memory.add(event)
    return memory


@pytest.fixture(scope="module")
def client(nodes: list[redis.Redis]) -> Iterator[Client]:
    """The same events, on the cluster."""
    client = connect(f"redis+cluster://127.0.0.1:{cluster.port_of(nodes[-1])}", timeout_s=5)
    for group in PLAN.groups:
        rows, delivery = rows_of(group, EVENTS), Delivery(client, group)
        for first in range(0, len(rows), 500):
            delivery.write(rows[first : first + 500], clock=NOW_MS)
    yield client
    client.close()


def _event(number: int) -> Event:
    at_ms, kind = NOW_MS - number * 1_000, "click" if number % 3 else "view"
    session = {"session_id": f"s{number // 4}", "user_id": f"u{number % OWNERS}", "item_id": f"i{number * 7 % OWNERS}"}
    times: dict[str, str | int] = {"event_type": kind, "occurred_at": at_ms, "received_at": at_ms}
    return {"event_id": f"e{number}", **session, **times, "value": float(number % 50), "position": number % 9}


EVENTS = [_event(number) for number in reversed(range(3 * OWNERS))]


def test_every_entity_reads_as_it_was_written(client: Client, memory: MemoryStore) -> None:
    requests = [FeatureRequest(group, [f"{group.entity[0][0]}{n}" for n in range(OWNERS)]) for group in PLAN.groups]
    at_ms = NOW_MS + 60_000
    for found, expected in zip(
        FeatureReader(client).read(requests, at_ms=at_ms), memory.read(requests, at_ms=at_ms), strict=True
    ):
        stored = features(found)
        assert stored.keys() == features(expected).keys()
        for key, values in features(expected).items():
            assert all(values_agree(value, stored[key][name], ratio=1e-9) for name, value in values.items()), key


def test_every_node_holds_entities_and_an_entity_is_on_one_slot(client: Client, nodes: list[redis.Redis]) -> None:
    assert isinstance(client, RedisCluster)
    assert min(node.dbsize() for node in nodes) > OWNERS

    def owner(key: bytes) -> str:
        return owner_of(key.decode())

    keys = sorted(client.scan_iter(), key=owner)
    for _, same in groupby(keys, key=owner):
        assert len({client.keyslot(key) for key in same}) == 1


def test_versions_are_compared_on_a_cluster(client: Client) -> None:
    group = PLAN.group("everything")
    parity = compare(client, group, group, sample=100, at_ms=NOW_MS + 60_000)
    assert (parity.alike, parity.unlike, parity.missing) == (100, 0, 0)


def test_all_nodes_are_counted(client: Client, nodes: list[redis.Redis]) -> None:
    assert measure_usage(client, PLAN.group("everything")).entities == OWNERS
    assert free_bytes(client) is None
    for node in nodes[:2]:
        node.config_set("maxmemory", "50mb")
    assert free_bytes(client) is None, "the third has no limit"
    nodes[2].config_set("maxmemory", "50mb")
    left = free_bytes(client)
    for node in nodes:
        node.config_set("maxmemory", "0")
    assert left is not None
    assert 100 * 2**20 < left < 150 * 2**20


def test_a_cluster_that_does_not_answer_is_a_store_error() -> None:
    with pytest.raises(StoreError):
        connect("redis+cluster://127.0.0.1:1", timeout_s=0.1)
