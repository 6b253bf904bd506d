"""The feeder's item columns equal what the store has at that moment, though only what has changed is read."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace.connections.redis_clients import Client, StoreError, connect
from headrace.lang.events.computed import Computation
from headrace.lang.executors.fold import TileFold
from headrace.lang.expressions.per_event import Event
from headrace.lang.plan.plan import Plan
from headrace.lang.planner.load import parse_plan
from headrace.serving.items.feature_feed import FeatureFeed
from headrace.serving.state import columns
from headrace.serving.state.state import Live, Progress
from headrace.serving.telemetry.feeder_metrics import FeederMetrics
from headrace.serving.telemetry.monitor import Monitor
from headrace.stack import redis_server
from headrace.stack.ports import free_port
from headrace.store.redis.changes import ChangeListener
from headrace.store.redis.reader import FeatureReader, FeatureRequest, FeatureValues
from headrace.wait import wait_until
from tests.support import serving_states as worlds
from tests.support.memory_stores import click
from tests.support.store_writes import Delivery

ITEMS = 40
KINDS = ("click", "impression", "purchase", "dwell")
LIFT = """FEATURE GROUP lift (
  version 1, owner 'tests', entity category, source clickstream, on_missing null, description 'A boost', boost rise
);
SELECT count(*, edge => interpolate) OVER 1h AS clicks_1h, count(DISTINCT item_id) OVER 1h AS items_1h
FROM clickstream GROUP BY category
DERIVE 1 + clicks_1h / 100 + items_1h / 100 AS rise;"""
FILES = {path.relative_to(worlds.FEATURES).as_posix(): path.read_text() for path in worlds.FEATURES.rglob("*.sql")}
PLAN = parse_plan({**FILES, "lift.sql": LIFT})
FILL = Computation(PLAN.source("clickstream")).fill


class CountingReader:
    """The store's reader; counts the owners that are read."""

    def __init__(self, client: Client) -> None:
        self._reader = FeatureReader(client)
        self.owners = 0
        self.on_read: Callable[[], None] = lambda: None

    def read(self, requests: Sequence[FeatureRequest], *, at_ms: int) -> list[FeatureValues]:
        self.owners += sum(len(request.owners) for request in requests)
        self.on_read()
        return self._reader.read(requests, at_ms=at_ms)


class Bench:
    """A feed over a store, with a clock that the test sets."""

    def __init__(self, client: Client, plan: Plan = PLAN) -> None:
        self.client = client
        self.now = worlds.NOW
        self.live = Live(plan)
        self.live.set_catalogue(worlds.catalogue_of(worlds.items(ITEMS, 6, seller="s1")))
        self.reader = CountingReader(client)
        self._listener = ChangeListener(client)
        monitor = Monitor(FeederMetrics(Progress()))
        self.feed = FeatureFeed(self.reader, self._listener, self.live, monitor, clock=lambda: self.now)
        self._folds = {group.title: TileFold(group) for group in plan.groups}

    def close(self) -> None:
        self._listener.close()

    def happen(self, *events: Event) -> None:
        """Write what the features job emits for these events, and nothing else."""
        for group in self.live.state.plan.groups:
            fold = self._folds.setdefault(group.title, TileFold(group))
            rows = [row for event in events for row in fold.add(FILL(event))]
            if rows:
                Delivery(self.client, group).write(rows, clock=self.now)

    def step(self) -> None:
        """Let the feed take in what has reached it."""
        self.feed.step(0.02)

    def settle(self) -> None:
        """Let the feed go on until it has what the store has: Redis may deliver a message a moment later."""

        def is_current() -> bool:
            self.now += 1_000
            self.step()
            return self.is_current()

        wait_until(is_current, what="the columns of the store", deadline_s=10, hint="Compare them column by column.")

    def is_current(self) -> bool:
        state, reader = self.live.state, FeatureReader(self.client)
        catalogue, features = state.catalogue, state.features
        indexes = np.arange(len(catalogue))
        expected = features.columns.read_items(reader, state.plan, catalogue, indexes=indexes, at_ms=features.read_at)
        return np.allclose(features.values, expected, rtol=1e-6, atol=1e-9, equal_nan=True)


@pytest.fixture
def bench(client: Client) -> Bench:
    made = Bench(client)
    yield made
    made.close()


def act(number: int, at_ms: int, item: int, kind: str) -> Event:
    changes = {"occurred_at": at_ms, "received_at": at_ms, "event_type": kind, "price": 5.0, "seller": "s1"}
    return click(number, item_id=f"i{item}", category=f"c{item % 6}", user_id=f"u{item % 3}", **changes)


steps = st.lists(
    st.tuples(
        st.sampled_from((1_000, 61_000, 700_000, 3_700_000, 90_000_000, 700_000_000)),
        st.lists(st.tuples(st.integers(0, ITEMS - 1), st.sampled_from(KINDS)), max_size=4),
    ),
    min_size=1,
    max_size=5,
)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps)
def test_columns_equal_those_read_at_once(client: Client, history: list[tuple[int, list[tuple[int, str]]]]) -> None:
    client.flushall()
    bench = Bench(client)
    try:
        bench.step()
        for number, (elapsed_ms, acts) in enumerate(history):
            bench.now += elapsed_ms
            bench.happen(*(act(10 * number + index, bench.now, *each) for index, each in enumerate(acts)))
            bench.settle()
    finally:
        bench.close()


def test_only_what_has_changed_is_read(bench: Bench) -> None:
    bench.happen(act(1, bench.now, 3, "click"), act(2, bench.now, 5, "click"))
    bench.settle()
    parts = columns.SHIPPED_COLUMNS.groups(PLAN)
    bench.reader.owners = 0
    bench.happen(act(3, bench.now, 3, "click"))
    bench.settle()
    assert 0 < bench.reader.owners <= 4 * len(parts), "both items were clicked: their owners, and what is over all"
    bench.reader.owners, before = 0, bench.live.state.features
    bench.now += 1_000
    bench.step()
    assert (bench.reader.owners, bench.live.state.features is before) == (0, True), "nothing happened"


def test_new_items_are_read_and_gone_ones_forgotten(bench: Bench) -> None:
    bench.happen(act(1, bench.now, ITEMS + 1, "click"))
    bench.settle()
    bench.live.set_catalogue(worlds.catalogue_of(worlds.items(ITEMS + 3, 6, seller="s1")[2:]))
    bench.settle()
    new = bench.live.state.catalogue.names.index(f"i{ITEMS + 1}")
    assert columns.SHIPPED_COLUMNS.column(bench.live.state.features.values, "item_engagement.clicks_1h")[new] == 1


def test_after_a_lost_connection_everything_is_read_again(bench: Bench) -> None:
    bench.step()
    bench.client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
    bench.happen(act(1, bench.now, 3, "click"))
    with suppress(StoreError):
        bench.step()  # notices
    bench.settle()
    assert np.nanmax(columns.SHIPPED_COLUMNS.column(bench.live.state.features.values, "item_engagement.clicks_1h")) == 1


def test_another_version_of_a_group_is_read_whole(bench: Bench) -> None:
    bench.step()
    second = parse_plan({**FILES, "lift.sql": LIFT.replace("version 1", "version 2").replace("/ 100", "/ 10")})
    bench.live.set_plan(second)
    bench.happen(act(1, bench.now, 3, "click"))
    bench.settle()
    assert bench.live.state.features.version["lift"] == 2


def test_slow_reads_put_off_no_later_state(bench: Bench) -> None:
    """The first read of a large catalogue may take a minute; what happens then shows a second later."""

    def take_long() -> None:
        bench.now += 60_000

    bench.reader.on_read = take_long
    bench.step()
    bench.reader.on_read = lambda: None
    bench.happen(act(1, bench.now, 3, "click"))
    for _ in range(5):
        bench.now += 1_000
        bench.step()
        if bench.is_current():
            return
    pytest.fail("five seconds later the columns are still those of the first read")


def test_a_feed_that_starts_before_its_store_finds_it_later(tmp_path: Path) -> None:
    port = free_port(())
    bench = Bench(connect(f"redis://127.0.0.1:{port}", timeout_s=1.0))
    for _ in range(2):
        with pytest.raises(StoreError):
            bench.step()
    with redis_server.running(tmp_path, port=port):
        bench.happen(act(1, bench.now, 3, "click"))
        bench.settle()
    bench.close()


def test_a_store_that_is_away_leaves_the_columns(tmp_path: Path) -> None:
    with redis_server.running(tmp_path) as port:
        bench = Bench(connect(f"redis://127.0.0.1:{port}", timeout_s=1.0))
        bench.step()
        before = bench.live.state.features
    bench.now += 60_000
    with pytest.raises(StoreError):
        bench.step()
    assert bench.live.state.features is before
    bench.close()
