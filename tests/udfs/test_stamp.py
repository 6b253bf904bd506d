"""An event is completed from several tables, one after the other, by keys that it has, is given or computes."""

from lang.plan.clean_topic import contract
from lang.planner.load import plan_of
from udfs.enrich import Stamper

HEADER = "event_time at_ms, lateness '1 day', future '5 minutes', dedupe id WITHIN '2 days'"
COLUMNS = "id STRING REQUIRED, at_ms BIGINT REQUIRED, received_at BIGINT"
PLAN = plan_of(
    {
        "users.sql": f"SOURCE users (topic 'users', {HEADER}, mask (home) WITH hash)"
        f" COLUMNS ({COLUMNS}, user_id STRING REQUIRED, home STRING, city STRING, here STRING AS city)",
        "weather.sql": f"SOURCE weather (topic 'weather', {HEADER})"
        f" COLUMNS ({COLUMNS}, place STRING REQUIRED, celsius DOUBLE)",
        "visits.sql": f"""SOURCE visits (topic 'visits', {HEADER},
          stamp users (home STRING, here STRING) ON user_id,
          stamp weather (celsius DOUBLE) ON nearest = place
        ) COLUMNS ({COLUMNS}, user_id STRING REQUIRED, event_type STRING, place STRING,
          nearest STRING AS coalesce(place, here), cold BOOLEAN AS celsius < 0.0)""",
    }
)
NOTHING = {"id": "x", "at_ms": 0, "source_partition": 0, "source_offset": 0}


def stamper() -> Stamper:
    filled = Stamper(PLAN.source("visits"))
    users, weather = filled.histories
    user = {"user_id": "u", "home": "a hash", "city": "oulu", "here": "oulu"}
    users.take(contract(PLAN.source("users")).encode({**NOTHING, **user, "received_at": 10}), 0, 0)
    for offset, (place, celsius) in enumerate([("oulu", -5.0), ("rome", 20.0)]):
        record = {"place": place, "celsius": celsius, "received_at": 20, "source_offset": offset}
        weather.take(contract(PLAN.source("weather")).encode(NOTHING | record), 0, offset)
    return filled


def completed(**event: object) -> dict[str, object]:
    given = {"id": "v", "at_ms": 0, "user_id": "u", "event_type": None, "place": None, **event}
    stamper().complete(given)
    return {name: given[name] for name in ("home", "nearest", "celsius", "cold")}


def test_the_second_stamp_looks_up_by_what_is_computed_from_the_first() -> None:
    assert completed(received_at=20) == {"home": "a hash", "nearest": "oulu", "celsius": -5.0, "cold": True}
    assert completed(received_at=20, place="rome")["cold"] is False


def test_each_table_is_known_as_of_the_event() -> None:
    assert completed(received_at=19) == {"home": "a hash", "nearest": "oulu", "celsius": None, "cold": None}
    assert completed(received_at=9) == {"home": None, "nearest": None, "celsius": None, "cold": None}


def test_a_tick_is_stamped_with_nothing() -> None:
    assert completed(received_at=20, event_type="_tick", place="rome")["home"] is None
    assert completed(received_at=20, event_type="_tick", place="rome")["celsius"] is None
