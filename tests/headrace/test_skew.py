"""Skew: what was served lies between what the log gives without its last seconds and with them."""

from pathlib import Path

import msgspec
import numpy as np

from headrace.features.skew import compare
from lang.events.computed import Computation
from lang.expressions.per_event import Event
from lang.planner.load import load_plan, parse_plan
from models.inputs import DENSE, FEATURE_SET
from schemas.catalogue import Item
from schemas.exposures import Exposure, Slot
from serving.offline.features import OfflineFeatures
from serving.state.experiment import Arm
from serving.state.query import Query

PLAN = load_plan(Path(__file__).parents[2] / "features")
BEGUN_MS = 1_790_000_000_000
ITEMS = [Item(item_id=f"i{n}", category=f"c{n % 2}", price=10.0 + n, seller="s1", born_at=BEGUN_MS) for n in range(4)]
KINDS = ("impression", "click", "dwell", "purchase")
FELL_BEHIND_MS = 2_000  # what serving had not seen yet


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
    """As serving would have written it, two seconds behind the log."""
    at_ms, recomputed = BEGUN_MS + number * 9_000, OfflineFeatures(PLAN, ITEMS)
    for each in EVENTS:
        if int(str(each["received_at"])) <= at_ms - FELL_BEHIND_MS:
            recomputed.fold(each)
    arm = Arm(name="online", share=1.0, policy="model:live")
    asked = {"request_id": f"r{number}", "user_id": f"u{number % 3}", "session_id": "s", "surface": "feed"}
    query = recomputed.hydrate(Query(**asked, count=4, at_ms=at_ms, seed=0, arm=arm))
    slots = [
        Slot(
            item_id=item.item_id,
            position=place,
            score=0.0,
            propensity=1.0,
            sources=[],
            category=item.category,
            dense=recomputed.dense(query, [item.item_id]).tobytes(),
        )
        for place, item in enumerate(ITEMS)
    ]
    told = {"arm": "online", "policy": "", "model_version": "", "feature_set": FEATURE_SET, "feature_versions": {}}
    return Exposure(**asked, **told, received_at=at_ms, history=[], slots=slots)


EXPOSURES = [exposure(number) for number in range(1, 9)]


def test_a_second_stream_is_none_of_the_rankers() -> None:
    """Its group is kept by users too, and by a time that no click has."""
    orders = """SOURCE orders (topic 'orders', event_time ordered_at, lateness '1 hour', future '1 minute',
      dedupe order_id WITHIN '1 day') COLUMNS (order_id STRING REQUIRED, user_id STRING REQUIRED,
      ordered_at BIGINT REQUIRED, received_at BIGINT);"""
    group = """FEATURE GROUP user_orders (version 1, owner 'shop', entity user_id, source orders, on_missing zero,
      description 'x'); SELECT count(*) OVER 24h AS orders_24h FROM orders GROUP BY user_id;"""
    folder = Path(__file__).parents[2] / "features"
    files = {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*.sql")}
    plan = parse_plan(files | {"orders.sql": orders, "user_orders.sql": group})
    assert compare(plan, ITEMS, EVENTS, EXPOSURES[:2]).slots == 8


def test_what_was_served_is_what_the_log_gives() -> None:
    found = compare(PLAN, ITEMS, EVENTS, EXPOSURES)
    assert found.slots == 32
    assert {DENSE[place]: int(found.mismatched[place]) for place in np.flatnonzero(found.mismatched)} == {}


def test_a_planted_value_is_found_by_its_name() -> None:
    place = DENSE.index("item_engagement.clicks_24h")
    slot = EXPOSURES[3].slots[2]
    dense = np.frombuffer(slot.dense, "<f4").copy()
    dense[place] += 0.5
    slots = [
        msgspec.structs.replace(each, dense=dense.tobytes()) if each is slot else each for each in EXPOSURES[3].slots
    ]
    planted = msgspec.structs.replace(EXPOSURES[3], slots=slots)
    found = compare(PLAN, ITEMS, EVENTS, [*EXPOSURES[:3], planted, *EXPOSURES[4:]])
    assert np.flatnonzero(found.mismatched).tolist() == [place]
    assert int(found.mismatched.sum()) == 1
