"""A plan is refused if Redis lacks the memory, or if the group already has as many entities as it may."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from headrace.connections.redis_clients import Client, connect
from headrace.features.budget import entity_problem, memory_problem
from headrace.features.cost import Cost, Keys, LiveVersion, estimate_keys
from headrace.lang.plan.plan import Group
from headrace.stack import redis_server
from headrace.store.redis.budget import free_bytes
from headrace.store.redis.usage import Usage, measure_usage
from tests.support.law_groups import PLAN
from tests.support.store_writes import Delivery, rows_of

NOW_MS = 1_767_225_600_000
LIVE = PLAN.group("everything")
WANTED = msgspec.structs.replace(LIVE, version=2)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Client]:
    """A Redis of four megabytes that holds a version with some hundred users."""
    with redis_server.running(tmp_path, "--maxmemory", "4mb") as port:
        client = connect(f"redis://127.0.0.1:{port}")
        head = {"event_type": "click", "received_at": NOW_MS, "value": 1.0, "position": 1, "session_id": "s"}
        times = {"occurred_at": NOW_MS, "item_id": "i"}
        events = [{"event_id": f"e{user}", "user_id": f"u{user}", **times, **head} for user in range(300)]
        Delivery(client, LIVE).write(rows_of(LIVE, events), clock=NOW_MS)
        yield client
        client.close()


def cost(keys: Keys | None, group: Group = WANTED) -> Cost:
    return Cost(group=group.name, events=0, minutes=0.0, redis=keys, flink_mb=None, touches=())


def live_version(client: Client) -> LiveVersion:
    return LiveVersion(group=LIVE, held=measure_usage(client, LIVE), cell_bytes=None)


def test_a_version_is_refused_if_it_does_not_fit(small: Client) -> None:
    keys, left = estimate_keys(WANTED, live_version(small)), free_bytes(small)
    assert keys.megabytes * 1e6 == pytest.approx(measure_usage(small, LIVE).bytes, rel=0.01)
    assert memory_problem([cost(keys)], [WANTED], left) == ""
    small.config_set("maxmemory", small.info("memory")["used_memory"] + int(keys.megabytes * 1e6) // 2)
    refused = memory_problem([cost(keys)], [WANTED], free_bytes(small))
    assert refused.startswith(f"F120 the new versions need about {keys.megabytes:.1f} MB of Redis")
    assert f"everything@2: {keys.count} keys of {keys.each_bytes} bytes; " in refused
    assert refused.count("% less without") == 2
    small.config_set("maxmemory", "0")
    assert memory_problem([cost(keys)], [WANTED], free_bytes(small)) == ""


def test_costs_are_summed_and_unknown_costs_count_as_zero() -> None:
    other = msgspec.structs.replace(PLAN.group("two_keys"), version=2)
    costs = [cost(Keys(10, 100)), cost(Keys(10, 100), other)]
    assert memory_problem(costs, [WANTED, other], 2_000) == ""
    assert memory_problem(costs, [WANTED, other], 1_999) != ""
    assert memory_problem([cost(None)], [WANTED], 0) == ""


def test_the_entity_limit_applies_to_the_next_version() -> None:
    live = LiveVersion(group=LIVE, held=Usage(keys=5, entities=5, bytes=500), cell_bytes=None)
    limited = {most: msgspec.structs.replace(WANTED, max_entities=most) for most in (5, 6)}
    assert entity_problem(limited[5], live).startswith("F122 everything@2 may have 5 entities, but everything@1 has 5")
    assert entity_problem(limited[6], live) == ""
    assert entity_problem(limited[5], None) == ""
    assert entity_problem(WANTED, live) == ""
