"""Skew: served values lie between those of the log without its last seconds and with them."""

import msgspec
import numpy as np

from headrace.features.skew import compare
from headrace.lang.events.computed import Computation
from headrace.lang.expressions.per_event import Event
from headrace.lang.planner.load import load_plan, parse_plan
from headrace.models.ranker.inputs import DENSE, FEATURE_SET
from headrace.schemas.catalogue import Item
from headrace.schemas.exposures import Exposure, Slot
from headrace.serving.offline.features import OfflineFeatures
from headrace.serving.state.experiment import Arm
from headrace.serving.state.query import Query
from tests.support.paths import REPOSITORY

PLAN = load_plan(REPOSITORY / "features")
BEGUN_MS = 1_790_000_000_000
ITEMS = [Item(item_id=f"i{n}", category=f"c{n % 2}", price=10.0 + n, seller="s1", born_at=BEGUN_MS) for n in range(4)]
KINDS = ("impression", "click", "dwell", "purchase")
FELL_BEHIND_MS = 2_000  # serving had not seen these events yet


def event(number: int) -> Event:
    item, at_ms = ITEMS[number % 4], BEGUN_MS + number * 700
    fields = {
        "event_id": f"e{number}",
        "user_id": f"u{number % 3}",
        "session_id": "s",
        "item_id": item.item_id,
        "event_type": KINDS[number // 4 % 4],
        "occurred_at": at_ms,
        "received_at": at_ms,
        "value": 3.0,
        "category": item.category,
        "price": item.price,
        "seller": item.seller,
    }
    return Computation(PLAN.source("clickstream")).fill(fields)


EVENTS = [event(number) for number in range(120)]


def exposure(number: int) -> Exposure:
    """An exposure as serving would have written it, two seconds behind the log."""
    at_ms, recomputed = BEGUN_MS + number * 9_000, OfflineFeatures(PLAN, ITEMS)
    for each in EVENTS:
        if int(str(each["received_at"])) <= at_ms - FELL_BEHIND_MS:
            recomputed.fold(each)
    arm = Arm(name="online", share=1.0, policy="model:live")
    request = {"request_id": f"r{number}", "user_id": f"u{number % 3}", "session_id": "s", "surface": "feed"}
    query = recomputed.hydrate(Query(**request, count=4, at_ms=at_ms, seed=0, arm=arm))
    slots = [
        Slot(
            item_id=item.item_id,
            position=position,
            score=0.0,
            propensity=1.0,
            sources=[],
            category=item.category,
            dense=recomputed.dense(query, [item.item_id]).tobytes(),
        )
        for position, item in enumerate(ITEMS)
    ]
    model = {"arm": "online", "policy": "", "model_version": "", "feature_set": FEATURE_SET, "feature_versions": {}}
    return Exposure(**request, **model, received_at=at_ms, history=[], slots=slots)


EXPOSURES = [exposure(number) for number in range(1, 9)]


def test_groups_of_a_second_stream_are_ignored() -> None:
    """Its group has users as entities too, and an event time that clicks lack."""
    orders = """SOURCE orders (topic 'orders', event_time ordered_at, lateness '1 hour', future '1 minute',
      dedupe order_id WITHIN '1 day') COLUMNS (order_id STRING REQUIRED, user_id STRING REQUIRED,
      ordered_at BIGINT REQUIRED, received_at BIGINT);"""
    group = """FEATURE GROUP user_orders (version 1, owner 'shop', entity user_id, source orders, on_missing zero,
      description 'x'); SELECT count(*) OVER 24h AS orders_24h FROM orders GROUP BY user_id;"""
    folder = REPOSITORY / "features"
    files = {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*.sql")}
    plan = parse_plan(files | {"orders.sql": orders, "user_orders.sql": group})
    assert compare(plan, ITEMS, EVENTS, EXPOSURES[:2]).slots == 8


def test_served_values_match_the_log() -> None:
    found = compare(PLAN, ITEMS, EVENTS, EXPOSURES)
    assert found.slots == 32
    assert {DENSE[column]: int(found.mismatched[column]) for column in np.flatnonzero(found.mismatched)} == {}


def test_a_planted_mismatch_is_found() -> None:
    column = DENSE.index("item_engagement.clicks_24h")
    slot = EXPOSURES[3].slots[2]
    dense = np.frombuffer(slot.dense, "<f4").copy()
    dense[column] += 0.5
    slots = [
        msgspec.structs.replace(each, dense=dense.tobytes()) if each is slot else each for each in EXPOSURES[3].slots
    ]
    planted = msgspec.structs.replace(EXPOSURES[3], slots=slots)
    found = compare(PLAN, ITEMS, EVENTS, [*EXPOSURES[:3], planted, *EXPOSURES[4:]])
    assert np.flatnonzero(found.mismatched).tolist() == [column]
    assert int(found.mismatched.sum()) == 1
