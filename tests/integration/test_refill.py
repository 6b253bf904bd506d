"""The loader, `headrace backfill --into-redis` and `headrace dead` on a real broker and a real store."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.connections.kafka_clients import producer
from headrace.connections.redis_clients import Client, connect
from headrace.errors import UsageProblem
from headrace.features import refill
from headrace.lang.executors.fold import SequenceRow, TileRow
from headrace.layout import Endpoints
from headrace.log import dead_letters
from headrace.log.topics import create_topics
from headrace.schemas.dead_letter import DEAD
from headrace.schemas.topics import EVENTS_DEAD, sequence_topic, tile_topic
from headrace.stack import broker, redis_server
from headrace.store.loader import Loader
from headrace.store.redis.reader import FeatureReader, FeatureRequest
from tests.support.law_groups import PLAN
from tests.support.store_writes import Delivery

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]
GROUP, OTHER = PLAN.group("everything"), PLAN.group("two_keys")
MINUTE_MS, NOW_MS, OWNERS = 60_000, 1_700_000_040_000, ["a", "b", "c"]


@pytest.fixture(scope="module")
def endpoints(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoints]:
    with broker.running(tmp_path_factory.mktemp("broker") / "home") as found:
        topics = [tile_topic(each.name, each.version, retain_ms=each.retain_ms) for each in (GROUP, OTHER)]
        topics += [sequence_topic(each.name, each.version, retain_ms=each.retain_ms) for each in (GROUP, OTHER)]
        create_topics(found.bootstrap, tuple(topics))
        yield found


@pytest.fixture
def store(tmp_path: Path) -> Iterator[tuple[str, Client]]:
    with redis_server.running(tmp_path) as port:
        url = f"redis://127.0.0.1:{port}"
        yield url, connect(url)


def write(endpoints: Endpoints, delivery: Delivery) -> None:
    """A tile and a row of each owner, and odd records between them."""
    client = producer(endpoints.bootstrap)
    partials = GROUP.families[GROUP.family_of(MINUTE_MS)].partials
    for owner in OWNERS:
        tile = TileRow((owner,), MINUTE_MS, NOW_MS - MINUTE_MS, (1.0, NOW_MS - 1.0, *[1.0] * len(partials)))
        row = SequenceRow((owner,), GROUP.sequences[0].name, NOW_MS - 1, "e", NOW_MS - 1, "1")
        client.produce(GROUP.tile_topic, delivery.tile(tile), owner)
        client.produce(GROUP.tile_topic, b"?", f"odd-{owner}")
        client.produce(GROUP.sequence_topic, delivery.sequence(row), owner)
    assert client.flush(30) == 0


def held(client: Client) -> list[str]:
    (values,) = FeatureReader(client).read([FeatureRequest(GROUP, OWNERS)], at_ms=NOW_MS)
    return [key[0] for key, as_of in zip(values.keys, values.merged.as_of, strict=True) if as_of > 0]


def test_what_was_wiped_is_filled_again_and_what_was_odd_is_listed_once(
    endpoints: Endpoints, store: tuple[str, Client], capsys: pytest.CaptureFixture[str]
) -> None:
    url, client = store
    write(endpoints, Delivery(client, GROUP))
    loader = Loader(bootstrap=endpoints.bootstrap, client=client)
    loader.follow([GROUP, OTHER])
    while len(held(client)) < len(OWNERS):
        loader.load_batch(timeout_s=1.0)
    while loader.quarantine.reasons.total() < len(OWNERS):
        loader.load_batch(timeout_s=1.0)
    keys = set(client.keys("?:*"))
    client.delete(*keys)  # the mark stays: the loader has no reason to begin again
    assert loader.load_batch(timeout_s=1.0) == 0

    told: list[tuple[int, int]] = []
    filled = refill.fill(endpoints.bootstrap, url, [GROUP], on_progress=lambda done, total: told.append((done, total)))
    assert (filled.records, filled.keys, filled.aside) == (9, len(keys), 3)
    assert told[-1] == (9, 9)
    assert set(client.keys("?:*")) == keys
    assert held(client) == OWNERS
    loader.close()

    client = producer(endpoints.bootstrap)
    event = {"reason": "late: by a day", "topic": "events", "partition": 1, "offset": 5, "payload": b"{}", "at": 1}
    for _ in range(2):
        client.produce(EVENTS_DEAD.name, DEAD.encode(event))
    client.produce(EVENTS_DEAD.name, b"no letter")
    assert client.flush(30) == 0
    dead_letters.show_counts(dead_letters.read(endpoints, dead_letters.DeadLetterFilter()), as_json=True)
    counts = {(row["topic"], row["reason"]): row["count"] for row in json.loads(capsys.readouterr().out)}
    assert counts == {(GROUP.tile_topic, "unreadable"): 3, ("events", "late"): 1, (EVENTS_DEAD.name, "unreadable"): 1}
    dead_letters.show(
        dead_letters.read(endpoints, dead_letters.DeadLetterFilter(topic=GROUP.tile_topic)), count=2, as_json=True
    )
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["topic"], row["payload"]) for row in rows] == [(GROUP.tile_topic, "?")] * 2
    dead_letters.show(
        dead_letters.read(endpoints, dead_letters.DeadLetterFilter(reason="late")), count=9, as_json=False
    )
    assert capsys.readouterr().out == "events[1]@5  late: by a day\n    {}\n"


def test_a_group_that_is_none_cannot_be_filled() -> None:
    assert refill.select_groups([GROUP, OTHER], ["two_keys"]) == [OTHER]
    assert refill.select_groups([GROUP, OTHER], [GROUP.title]) == [GROUP]
    assert refill.select_groups([GROUP, OTHER], []) == [GROUP, OTHER]
    with pytest.raises(UsageProblem, match=r"no group 'nobody'; the groups are everything@1"):
        refill.select_groups([GROUP, OTHER], ["nobody"])
