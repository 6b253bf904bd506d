"""No feature group is load-bearing: without one, and with only groups of another world, the API answers and says so."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import log1p
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from litestar import Litestar
from litestar.testing import TestClient
from msgspec import Struct

from headrace.lang.planner.load import load_plan, parse_plan
from headrace.learner.samples.collate import Collator
from headrace.models.ranker.config import RankerConfig, load_ranker_config
from headrace.schemas.events import Event
from headrace.schemas.model.model_file import parse_model_file
from headrace.schemas.model.ranker_inputs import SHIPPED, Inputs
from headrace.schemas.times import now_ms
from headrace.serving import app, services
from headrace.serving.kafka.spooling_producer import SpoolingProducer
from headrace.serving.offline.features import OfflineFeatures
from headrace.serving.shared.publisher import Publisher
from headrace.serving.shared.subscriber import SharedState
from headrace.serving.state.columns import Columns
from headrace.serving.state.report import NotPublished
from headrace.serving.state.state import Live
from headrace.simulator.sample_stream import sample
from headrace.stack import redis_server
from headrace.wait import wait_until
from tests.support import article_project
from tests.support import serving_states as worlds
from tests.support.api import HEADERS, KEYS, settings
from tests.support.heads import DECLARED
from tests.support.spool import folder_of

FILES = {path.relative_to(worlds.FEATURES).as_posix(): path.read_text() for path in worlds.FEATURES.rglob("*.sql")}
GROUPS = sorted(group.name for group in worlds.PLAN.groups)
SLATE = {"user_id": "u1", "count": 10, "context": {"country": "fi"}}
EVENT = {"event_id": "e1", "user_id": "u1", "item_id": "i1", "event_type": "click"}
ARTICLES = {
    "sources/desk.sql": """SOURCE desk (topic 'events', event_time occurred_at, lateness '15 minutes',
      future '5 minutes', dedupe event_id WITHIN '1 day') COLUMNS (event_id STRING REQUIRED, user_id STRING REQUIRED,
      item_id STRING, event_type STRING REQUIRED, occurred_at BIGINT REQUIRED, received_at BIGINT);""",
    "article_reads.sql": """FEATURE GROUP article_reads (version 1, owner 'desk', entity item_id, source desk,
      on_missing zero, description 'Opened'); SELECT count(*) FILTER (WHERE event_type = 'opened') OVER 24h
      AS opened_24h FROM desk GROUP BY item_id;""",
    "reader_visits.sql": """FEATURE GROUP reader_visits (version 1, owner 'desk', entity user_id, source desk,
      on_missing zero, description 'Reads'); SELECT count(*) OVER 24h AS reads_24h FROM desk GROUP BY user_id;""",
    "reader_kinds.sql": """FEATURE GROUP reader_kinds (version 1, owner 'desk', entity user_id, event_type,
      source desk, on_missing zero, description 'Kinds'); SELECT count(*) OVER 7d AS times_7d
      FROM desk GROUP BY user_id, event_type;""",
}


class Stores(Struct):
    """A store that answers, and a producer that spools because Kafka is away."""

    redis: str
    producer: SpoolingProducer


STRANGERS = """FEATURE GROUP {name} (version 1, owner 'tests', entity {entity}, source clickstream, on_missing null,
  description 'Another shape'); SELECT count(*) OVER 1h AS things_1h FROM clickstream GROUP BY {entity};"""


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
    producer, stop = SpoolingProducer("127.0.0.1:1", folder_of(tmp_path_factory.mktemp("spool"))), threading.Event()
    thread = threading.Thread(target=producer.run, args=(stop,))
    with redis_server.running(tmp_path_factory.mktemp("redis")) as port:
        thread.start()
        try:
            yield Stores(f"redis://127.0.0.1:{port}", producer)
        finally:
            stop.set()
            thread.join()


@contextmanager
def serving(folder: Path, stores: Stores, files: Mapping[str, str]) -> Iterator[TestClient[Litestar]]:
    """The API over these feature files."""
    for name, text in files.items():
        path = folder / "features" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    columns = Columns(load_ranker_config(None, folder / "features").inputs)
    live = worlds.live(holder=Live(load_plan(folder / "features"), columns=columns))
    ranker = load_ranker_config(None, folder / "features")
    configured = msgspec.structs.replace(
        settings(folder), redis=stores.redis, features=folder / "features", ranker=ranker
    )
    parts = msgspec.structs.replace(services.build(configured, live), producer=stores.producer)
    with TestClient(app.create(parts, KEYS)) as api:
        yield api


def answers(api: TestClient[Litestar]) -> dict[str, Any]:
    """The answer to a slate, after all that a client may do was answered."""
    slate = slate_of(api)
    assert len(slate["items"]) == 10
    assert api.post("/v1/recommendations:stream", json=SLATE, headers=HEADERS).status_code == 200
    similar = api.get("/v1/items/i1/similar", headers=HEADERS)
    assert similar.status_code == 200, similar.text
    events = api.post("/v1/events", json={"events": [EVENT | {"occurred_at": now_ms()}]}, headers=HEADERS)
    assert (events.status_code, events.json()["accepted"]) == (202, 1), events.text
    return slate


def slate_of(api: TestClient[Litestar]) -> dict[str, Any]:
    """A slate for which the store answered in time; on a busy machine it is not the first."""
    found: list[dict[str, Any]] = []

    def is_answered() -> bool:
        response = api.post("/v1/recommendations", json=SLATE, headers=HEADERS)
        assert response.status_code == 200, response.text
        found.append(response.json())
        return not [reason for reason in found[-1]["degraded"]["reasons"] if reason.startswith("the feature store")]

    wait_until(is_answered, what="a slate with the user's features", deadline_s=30, hint="Redis runs in this test.")
    return found[-1]


def test_with_all_groups_nothing_is_missing(tmp_path: Path, stores: Stores) -> None:
    with serving(tmp_path, stores, FILES) as api:
        assert answers(api)["degraded"] == {"level": 0, "reasons": []}
        assert api.get("/health/ready").json()["missing"] == {}


@pytest.mark.parametrize("group", GROUPS)
def test_without_a_group_the_answer_names_it(tmp_path: Path, stores: Stores, group: str) -> None:
    files = {name: text for name, text in FILES.items() if name != f"{group}.sql"}
    with serving(tmp_path, stores, files) as api:
        degraded = answers(api)["degraded"]
        ready = api.get("/health/ready")
        similar = api.get("/v1/items/i1/similar", headers=HEADERS).json()
    if group == "item_coview":
        assert [
            reason for reason in similar["degraded"]["reasons"] if "item_coview.seen_with is not declared" in reason
        ]
        assert {each["member"] for each in similar["items"]} <= {f"i{n}" for n in range(60) if n != 1}
        assert len(similar["items"]) == 30
        assert degraded["level"] == 0
    else:
        assert degraded["level"] == 1, degraded
        assert [reason for reason in degraded["reasons"] if f"no feature group {group}, which " in reason]
    assert ready.status_code == 200
    missing = ready.json()["missing"]
    assert missing
    assert all(name.startswith(f"{group}.") for names in missing.values() for name in names)


def test_groups_of_another_world_over_another_source_serve(tmp_path: Path, stores: Stores) -> None:
    with serving(tmp_path, stores, ARTICLES) as api:
        degraded = answers(api)["degraded"]
        missing = api.get("/health/ready").json()["missing"]
    assert degraded["level"] == 1
    named = {name for name in GROUPS if any(f"group {name}, which" in reason for reason in degraded["reasons"])}
    assert named == {*GROUPS} - {"item_coview"}
    assert {*missing} == {
        "ranker",
        "nearest",
        "next",
        "together",
        "content",
        "trending",
        "popular",
        "popularity",
        "exploration",
        "similar",
    }


@pytest.mark.parametrize("entity", ["user_id", "item_id", "user_id, category", "item_id, user_id", "category"])
def test_groups_of_known_names_and_other_shapes_serve(tmp_path: Path, stores: Stores, entity: str) -> None:
    others = {f"{name}.sql": STRANGERS.format(name=name, entity=entity) for name in GROUPS}
    with serving(tmp_path, stores, FILES | others) as api:
        degraded = answers(api)["degraded"]
    assert degraded["level"] == 1
    assert [
        reason for reason in degraded["reasons"] if reason.startswith("feature group user_recent has no clicks_24h")
    ]


OWN_MODEL = """
ranked = ["article_reads.opened_24h"]
[user]
"reader_visits.reads_24h" = {shape = "log", scale = 0.4}
[item]
"article_reads.opened_24h" = {shape = "log", scale = 0.3}
"item.age_s" = {shape = "log", scale = 0.08}
[cross]
"reader_kinds.times_7d" = {shape = "log", scale = 0.5}
"history.contains" = {shape = "plain", scale = 1.0}
[reads]
history = "reader_visits.last_opened"
heat = "article_reads.opened_24h"
lasting = "article_reads.opened_24h"
top_categories = ""
seen = ""
clicks = ""
click_rate = ""
next = ""
together = ""
similar = ""
country = ""
daypart = ""
"""
OWN_FILES = ARTICLES | {
    "model.toml": OWN_MODEL,
    "reader_visits.sql": """FEATURE GROUP reader_visits (version 1, owner 'desk', entity user_id, source desk,
      on_missing zero, description 'Reads'); SELECT count(*) OVER 24h AS reads_24h,
      last_n(item_id, 20) FILTER (WHERE event_type = 'opened') OVER 7d AS last_opened FROM desk GROUP BY user_id;""",
    "sources/desk.sql": ARTICLES["sources/desk.sql"].replace(
        "'1 day')", "'1 day', stamp items (category STRING) ON item_id)"
    ),
    "reader_kinds.sql": ARTICLES["reader_kinds.sql"].replace("user_id, event_type", "user_id, category"),
}


def test_a_project_that_declares_its_own_model_misses_nothing(tmp_path: Path, stores: Stores) -> None:
    with serving(tmp_path, stores, OWN_FILES) as api:
        slate = answers(api)
        assert api.get("/health/ready").json()["missing"] == {}
    assert slate["degraded"] == {"level": 0, "reasons": []}
    assert slate["versions"]["feature_set"] == load_ranker_config(None, tmp_path / "features").inputs.feature_set
    assert slate["versions"]["feature_set"] != SHIPPED.feature_set


def test_declared_inputs_are_what_the_store_holds(tmp_path: Path) -> None:
    """By hand: what a user opened, in which category, and how often the candidate was opened."""
    plan, inputs = parse_plan({name: text for name, text in OWN_FILES.items() if name.endswith(".sql")}), _own_inputs()
    opened = [
        {"event_id": f"e{n}", "user_id": "u1", "item_id": item, "event_type": "opened", "occurred_at": at}
        for n, (item, at) in enumerate([("i3", 1), ("i3", 2), ("i9", 3)])
    ]
    events = [each | {"occurred_at": worlds.NOW - 60_000 + int(str(each["occurred_at"]))} for each in opened]
    items = worlds.items(12, 6)
    offline = OfflineFeatures(plan, items, inputs)
    categories = {item.item_id: item.category for item in items}
    for event in events:
        offline.fold(event | {"received_at": event["occurred_at"], "category": categories[str(event["item_id"])]})
    query = offline.hydrate(worlds.query(user_id="u1"))
    assert query.user.history == ["i9", "i3", "i3"]
    names = dict(zip(inputs.dense, offline.dense(query, ["i3", "i4"]).T.tolist(), strict=True))
    assert names["reader_visits.reads_24h"] == pytest.approx([0.4 * log1p(3)] * 2)
    assert names["article_reads.opened_24h"] == pytest.approx([0.3 * log1p(2), 0.0])
    assert names["reader_kinds.times_7d"] == pytest.approx([0.5 * log1p(3), 0.0])  # i3 and i9 are of one category
    assert names["history.contains"] == [1.0, 0.0]
    assert names["article_reads.opened_24h.rank"] == [1.0, 0.0]


ARTICLE_FILES = {name.partition("/")[2]: text for name, text in article_project.FILES.items() if "/" in name}


def test_a_source_with_names_of_its_own_serves_and_misses_nothing(tmp_path: Path, stores: Stores) -> None:
    with serving(tmp_path, stores, ARTICLE_FILES) as api:
        event = article_project.event(1, now_ms(), "u1", "i1")
        events = api.post("/v1/events", json={"events": [event]}, headers=HEADERS)
        assert (events.status_code, events.json()["accepted"]) == (202, 1), events.text
        record = api.get("/schema/openapi.json").json()["components"]["schemas"]["EventRecord"]
        slate = slate_of(api)
        assert api.get("/health/ready").json()["missing"] == {}
    assert record["required"] == ["id", "reader_id", "article_id", "kind", "at", "stars"]
    assert {*record["properties"]} == {*event, "visit_id", "slate_id", "slot", "seconds"}
    assert slate["degraded"] == {"level": 0, "reasons": []}
    shown = [item["id"] for item in slate["items"]]
    assert len(shown) == 10
    assert "i1" not in shown, "the user's next slate knows what they opened"


def test_inputs_of_a_source_with_names_of_its_own() -> None:
    """By hand: two readers opened i3, one of them i9, which is of another category."""
    plan = parse_plan({name: text for name, text in ARTICLE_FILES.items() if name.endswith(".sql")})
    inputs, items = parse_model_file(article_project.MODEL).inputs, worlds.items(12, 6)
    offline = OfflineFeatures(plan, items, inputs)
    opened = [("u1", "i3"), ("u2", "i3"), ("u1", "i9")]
    offline.add_events(
        Event(
            event_id=f"e{n}", user_id=user, item_id=item, event_type=article_project.OPENED,
            occurred_at=worlds.NOW - 60_000 + n, received_at=worlds.NOW - 60_000 + n,
        )
        for n, (user, item) in enumerate(opened)
    )  # fmt: skip
    query = offline.hydrate(worlds.query(user_id="u1"))
    assert query.user.history == ["i9", "i3"]
    names = dict(zip(inputs.dense, offline.dense(query, ["i3", "i4"]).T.tolist(), strict=True))
    assert names["reader_visits.opened_24h"] == pytest.approx([0.4 * log1p(2)] * 2)
    assert names["article_reads.opened_24h"] == pytest.approx([0.3 * log1p(2), 0.0])
    same = items[3].category == items[9].category
    assert names["reader_topics.times_7d"][0] == pytest.approx(0.5 * log1p(2 if same else 1))
    assert names["history.contains"] == [1.0, 0.0]


def test_a_learner_takes_only_samples_of_its_own_inputs() -> None:
    own = Collator(RankerConfig(declared=_own_inputs()))
    row = sample(feature_set=_own_inputs().feature_set, dense=np.zeros(len(_own_inputs().dense), "<f4").tobytes())
    assert own.fault(row) is None
    assert Collator(RankerConfig()).fault(row) == "feature_set"
    assert own.fault(sample()) == "feature_set"


def test_workers_refuse_the_state_of_a_feeder_with_other_inputs(tmp_path: Path) -> None:
    Publisher(tmp_path).publish(worlds.state())
    with pytest.raises(NotPublished, match=r"model\.toml"):
        _ = SharedState(tmp_path, RankerConfig(declared=_own_inputs())).state
    with pytest.raises(NotPublished, match=r"model\.toml"):
        _ = SharedState(tmp_path, RankerConfig().with_heads(DECLARED)).state


def _own_inputs() -> Inputs:
    return parse_model_file(OWN_MODEL).inputs
