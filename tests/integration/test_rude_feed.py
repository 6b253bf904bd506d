"""A feed of which 5 % is odd, odd records on every other topic, and a polite load: everything is accounted for."""

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from headrace.layout import Layout
from headrace.schemas.catalogue import ITEM
from headrace.schemas.topics import MODEL_DELTAS
from headrace.serving.offline.log_writer import LogWriter
from tests.support.line import Line, running
from tests.support.polite import Polite
from tests.support.random_events import catalogue
from tests.support.rude_account import (
    PATIENCE_S,
    account,
    check_all_features,
    check_the_later,
    check_the_letters,
    check_the_outcomes,
    check_the_versions,
    clean_rows,
    feed_of,
    manifests,
    odd_letters,
    outcomes,
    standing,
    write_feed,
    write_last,
)

pytestmark = pytest.mark.stack


def go(line: Line, *, count: int, parts: int, killer: str = "") -> None:
    """Write it all and hold the line to its account."""
    tag = f"rude{line.now()}"
    polite = Polite(line.endpoints, seed=line.now() % 1_000_000)
    LogWriter(line.endpoints.bootstrap, line.plan.event_source).items(polite.items())
    goods = catalogue(tag, 30, line.now() - 900_000)
    if killer:
        line.write("events", [("killer", kill_with(line, polite, killer, tag))])
    line.write("items", [(key, ITEM.encode(item)) for key, item in goods.items()])
    before = standing(line, polite)
    first = len(manifests(line))
    with polite:
        line.wait(lambda: len(manifests(line)) > first + 1, "versions that learn from the polite", PATIENCE_S)
        first = len(manifests(line))
        feed, letters, letter_places = feed_of(count, tag=tag, now_ms=line.now()), odd_letters(line, tag), []
        begun_s = time.monotonic()

        def between() -> None:
            for letter in letters:
                letter_places.extend(line.write(letter.topic, [(letter.key, letter.value)], headers=letter.headers))

        places = write_feed(line, feed, parts=parts, between=between)
        until_ms = line.now()
        last = write_last(line, tag)
        line.wait(lambda: last <= clean_rows(line).keys(), "the last event of each partition", PATIENCE_S)
        took_s = time.monotonic() - begun_s
        found, clean = outcomes(line, places)
        print(f"\n{len(feed.records)} events in {took_s:.0f} s{f', after {killer}' if killer else ''}")
        print(account(feed, places, found))
        check_the_outcomes(feed, places, found)
        print(check_the_letters(line, letters, letter_places))
        check_the_later(line, feed, places)
        print(check_the_versions(line, polite, first=first, until_ms=until_ms))
        polite.rest()
        told = polite.told
        line.wait(lambda: told <= {str(row["event_id"]) for row in clean_rows(line).values()}, "the polite events")
        check_all_features(line, tag, feed=feed, goods=goods, odd=clean, told=told)
        after = standing(line, polite)
        ready = polite.client.check_ready()
        assert ready.ready, ready
    print(f"answers {dict(polite.statuses)}, levels {dict(polite.levels)}, {len(told)} polite events")
    print(f"starts {after.starts}, restarts {after.restarts}, versions refused {after.rejected}")
    assert set(polite.statuses) <= {200, 202}, polite.statuses
    assert polite.rejected == []
    assert after.starts == before.starts
    assert after.restarts == before.restarts
    refused = Counter(letter.code for letter in letters if letter.topic == MODEL_DELTAS.name and letter.code)
    assert Counter(after.rejected) - Counter(before.rejected) == refused


def kill_with(line: Line, polite: Polite, killer: str, tag: str) -> bytes:
    """A record that must end nothing, the first of the log."""
    now = line.now()
    good: dict[str, object] = {"event_id": f"{tag}-killer", "user_id": f"{tag}-u1", "event_type": "dwell"}
    good |= {"item_id": "i000001", "occurred_at": now, "received_at": now}
    if killer == "a dwell of 1e39 on a served slot":
        line.wait(lambda: bool((slate := polite.slate("killer", "k")) and slate.items), "a slate with items")
        slate = polite.slate("killer", "k")
        assert slate is not None
        named = {"user_id": "killer", "session_id": "k", "request_id": slate.request_id, "item_id": slate.items[0].id}
        return msgspec.json.encode(good | named | {"position": 0, "value": 1e39})
    if killer == "1,000 arrays":
        return msgspec.json.encode(good | {"debug": msgspec.Raw(b"[" * 1_000 + b"]" * 1_000)})
    return msgspec.json.encode(good | {"occurred_at": now * 1_000, "received_at": now * 1_000})


@pytest.mark.timeout(600)
def test_a_rude_feed(line: Line) -> None:
    go(line, count=5_000, parts=3)


@pytest.fixture
def own_line(tmp_path: Path) -> Iterator[Line]:
    """A stack of this test alone, with an empty log."""
    with running(Layout(tmp_path / "stack")) as started:
        yield started


KILLERS = ("a dwell of 1e39 on a served slot", "1,000 arrays", "microseconds")


@pytest.mark.long
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("killer", KILLERS)
def test_a_rude_feed_after_a_record_that_has_killed(own_line: Line, killer: str) -> None:
    go(own_line, count=5_000, parts=3, killer=killer)


@pytest.mark.long
@pytest.mark.timeout(1_800)
def test_a_long_rude_feed(own_line: Line) -> None:
    go(own_line, count=50_000, parts=15)
