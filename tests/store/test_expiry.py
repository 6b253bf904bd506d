"""Rows that no window reads expire by the log clock; a key outlives its newest tile by `retain`."""

import numpy as np
import pytest

from headrace.connections.redis_clients import Client
from headrace.lang.executors.fold import SequenceRow, TileRow
from headrace.lang.plan.plan import Group
from headrace.schemas.redis_keys import sequence_key, tiles_key
from headrace.store.redis.reader import FeatureReader, FeatureRequest
from headrace.store.redis.record import RecordLayout
from headrace.store.redis.rows import by_member
from headrace.store.redis.writer import retention_of
from tests.support.law_groups import PLAN
from tests.support.store_writes import Delivery

HOUR_MS, MINUTE_MS = 3_600_000, 60_000
START_MS = 1_700_000_040_000  # long ago by the wall clock
ONE_KEY, TWO_KEYS = PLAN.group("everything"), PLAN.group("two_keys")


def tile(group: Group, key: tuple[str, ...], start_ms: int, *, n: int = 1, size_ms: int = MINUTE_MS) -> TileRow:
    partials = group.families[group.family_of(size_ms)].partials
    return TileRow(
        key, size_ms, start_ms - start_ms % size_ms, (float(n), float(start_ms), *[float(n)] * len(partials))
    )


def starts_of(record: bytes | None) -> list[int]:
    block, sizes = RecordLayout(ONE_KEY).block([record]), ONE_KEY.families[0].sizes_ms
    return sorted(block.start_ms[np.isin(block.size_ms, sizes)].tolist())


def test_a_record_keeps_the_tiles_that_windows_and_lateness_reach(client: Client) -> None:
    delivery, kept_ms = Delivery(client, ONE_KEY), dict(retention_of(ONE_KEY).kept_ms)[MINUTE_MS]
    minutes = [START_MS + minute * MINUTE_MS for minute in range(600)]
    lengths: list[int] = []
    for start in minutes:
        delivery.write([tile(ONE_KEY, ("a",), start)], clock=start)
        lengths.append(len(starts_of(client.get(tiles_key("everything", 1, "a")))))
    reached = kept_ms // MINUTE_MS
    assert max(lengths) <= reached + 16, "rows are pruned every 16"
    assert starts_of(client.get(tiles_key("everything", 1, "a")))[-reached:] == minutes[-reached:]


def test_a_short_record_is_pruned_with_each_new_tile(client: Client) -> None:
    delivery = Delivery(client, ONE_KEY)
    for start in (START_MS, START_MS + 30 * HOUR_MS):
        delivery.write([tile(ONE_KEY, ("a",), start)], clock=start)
    assert starts_of(client.get(tiles_key("everything", 1, "a"))) == [START_MS + 30 * HOUR_MS]


def test_members_without_writes_are_removed(client: Client) -> None:
    delivery, key = Delivery(client, TWO_KEYS), tiles_key("two_keys", 1, "u")
    for day in range(40):
        start = START_MS + day * 24 * HOUR_MS
        delivery.write([tile(TWO_KEYS, ("u", f"{day}-{number}"), start) for number in range(20)], clock=start)
    left = set(client.hkeys(key))
    assert len(left) < 64 + 20, "of 800 members"
    assert {f"39-{number}".encode() for number in range(20)} <= left


def test_rows_of_members_without_writes_are_removed_and_a_busy_member_keeps_its_newest(client: Client) -> None:
    delivery, key = Delivery(client, TWO_KEYS), sequence_key("two_keys", 1, "u", "types")
    for day in range(40):
        at = START_MS + day * 24 * HOUR_MS
        members = ["busy", *(f"{day}-{number}" for number in range(20))]
        rows = [SequenceRow(("u", member), "types", at, f"e{day}", at, str(day)) for member in members]
        delivery.write(rows, clock=at)
    left = set(client.hkeys(key))
    assert len(left) < 64 + 21, "of 801 members"
    assert {f"39-{number}".encode() for number in range(20)} <= left
    (values,) = FeatureReader(client).read([FeatureRequest(TWO_KEYS, ["u"])], at_ms=at)
    assert values.merged.lists["types"][values.keys.index(("u", "busy"))] == ["39"], "a window of 24 hours"
    assert len(by_member({b"busy": client.hget(key, "busy")})[b"busy"]) == 3, "last_n(…, 3)"


@pytest.mark.parametrize(("group", "key", "name"), [(ONE_KEY, ("u",), "positions"), (TWO_KEYS, ("u", "m"), "types")])
def test_an_event_id_at_two_times_is_two_events(client: Client, group: Group, key: tuple[str, ...], name: str) -> None:
    rows = [SequenceRow(key, name, START_MS + later, "e", START_MS + later, "7") for later in (0, 1, 0)]
    Delivery(client, group).write(rows, clock=START_MS + 1)
    (values,) = FeatureReader(client).read([FeatureRequest(group, ["u"])], at_ms=START_MS + 1)
    assert values.merged.lists[name][0] == ["7", "7"]


def test_lifetime_is_counted_by_the_log_clock(client: Client) -> None:
    for group, key in ((ONE_KEY, ("a",)), (TWO_KEYS, ("u", "a"))):
        name, delivery = tiles_key(group.name, 1, key[0]), Delivery(client, group)
        whole_ms = group.retain_ms + MINUTE_MS
        delivery.write([tile(group, key, START_MS)], clock=START_MS)
        assert whole_ms - 5_000 < client.pttl(name) <= whole_ms * 17 // 16 + 1
        delivery.write([tile(group, key, START_MS, n=2)], clock=START_MS + HOUR_MS)
        assert client.pttl(name) > whole_ms - 5_000, "a write never shortens it"
        client.delete(name)
        delivery.write([tile(group, key, START_MS, n=2)], clock=START_MS + HOUR_MS)
        assert client.pttl(name) <= (whole_ms - HOUR_MS) * 17 // 16 + 1


def test_an_older_tile_never_replaces_a_newer_one(client: Client) -> None:
    delivery, requests = Delivery(client, ONE_KEY), [FeatureRequest(ONE_KEY, ["a"])]
    for n in (3, 5, 4, 1):
        delivery.write([tile(ONE_KEY, ("a",), START_MS, n=n)], clock=START_MS)
    (values,) = FeatureReader(client).read(requests, at_ms=START_MS)
    assert values.merged.numbers["clicks_1h"].tolist() == [5]
