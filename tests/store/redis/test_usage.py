"""The measured usage of a version is what was written and still exists; `maxmemory` is the only budget."""

from pathlib import Path

import msgspec
import pytest

from headrace.connections.redis_clients import Client, connect
from headrace.lang.expressions.per_event import Event
from headrace.lang.plan.plan import Group
from headrace.stack import redis_server
from headrace.store.redis.budget import free_bytes
from headrace.store.redis.usage import Usage, measure_usage
from tests.support.law_groups import PLAN
from tests.support.store_writes import Delivery, rows_of

NOW_MS = 1_767_225_600_000
USERS, ITEMS = 40, 7


def events() -> list[Event]:
    """Each user clicks each item."""
    head = {"event_type": "click", "occurred_at": NOW_MS, "received_at": NOW_MS, "value": 1.0, "position": 1}
    pairs = [(user, item) for user in range(USERS) for item in range(ITEMS)]
    return [
        {"event_id": f"{user}-{item}", "user_id": f"u{user}", "item_id": f"i{item}", "session_id": f"s{user}", **head}
        for user, item in pairs
    ]


def fill(client: Client, group: Group) -> None:
    Delivery(client, group).write(rows_of(group, events()), clock=NOW_MS)


@pytest.mark.parametrize("group", PLAN.groups, ids=lambda group: group.name)
def test_everything_written_is_counted(client: Client, group: Group) -> None:
    tenth = msgspec.structs.replace(group, version=10)
    fill(client, group)
    keys = [key for key in client.scan_iter() if key.startswith((b"f:", b"s:"))]
    fill(client, tenth)
    found = measure_usage(client, group)
    assert found.keys == len(keys), "of this version, not of the tenth"
    assert found.bytes == pytest.approx(sum(client.memory_usage(key) for key in keys), abs=1)
    assert found.entities == len({row.key for row in rows_of(group, events())})


def test_a_version_that_holds_nothing(client: Client) -> None:
    assert measure_usage(client, PLAN.groups[0]) == Usage(keys=0, entities=0, bytes=0)


def test_without_maxmemory_there_is_no_budget(client: Client) -> None:
    assert free_bytes(client) is None


def test_bytes_are_left_up_to_maxmemory(tmp_path: Path) -> None:
    with redis_server.running(tmp_path, "--maxmemory", "20mb") as port:
        client = connect(f"redis://127.0.0.1:{port}")
        before = free_bytes(client)
        assert before is not None
        assert 10 * 2**20 < before < 20 * 2**20
        client.set("x", b"x" * 2**20)
        assert 2**20 <= before - (free_bytes(client) or 0) < 4 * 2**20, "the value, and the client's buffers"
        client.close()
