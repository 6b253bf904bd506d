"""An event is completed from several tables in order, by keys that are declared, stamped or computed."""

from headrace.lang.plan.clean_topic import contract
from headrace.lang.planner.load import parse_plan
from headrace.udfs.enrich import EventEnricher

HEADER = "event_time at_ms, lateness '1 day', future '5 minutes', dedupe id WITHIN '2 days'"
COLUMNS = "id STRING REQUIRED, at_ms BIGINT REQUIRED, received_at BIGINT"
PLAN = parse_plan(
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


def enricher() -> EventEnricher:
    filled = EventEnricher(PLAN.source("visits"))
    users, weather = filled.tables
    user = {"user_id": "u", "home": "a hash", "city": "oulu", "here": "oulu"}
    users.add_record(contract(PLAN.source("users")).encode({**NOTHING, **user, "received_at": 10}), 0, 0)
    for offset, (place, celsius) in enumerate([("oulu", -5.0), ("rome", 20.0)]):
        record = {"place": place, "celsius": celsius, "received_at": 20, "source_offset": offset}
        weather.add_record(contract(PLAN.source("weather")).encode(NOTHING | record), 0, offset)
    return filled


def completed(**event: object) -> dict[str, object]:
    given = {"id": "v", "at_ms": 0, "user_id": "u", "event_type": None, "place": None, **event}
    enricher().complete(given)
    return {name: given[name] for name in ("home", "nearest", "celsius", "cold")}


def test_the_second_stamp_looks_up_by_a_column_computed_from_the_first() -> None:
    assert completed(received_at=20) == {"home": "a hash", "nearest": "oulu", "celsius": -5.0, "cold": True}
    assert completed(received_at=20, place="rome")["cold"] is False


def test_each_table_is_looked_up_as_of_the_event() -> None:
    assert completed(received_at=19) == {"home": "a hash", "nearest": "oulu", "celsius": None, "cold": None}
    assert completed(received_at=9) == {"home": None, "nearest": None, "celsius": None, "cold": None}


def test_a_tick_gets_null_stamps() -> None:
    assert completed(received_at=20, event_type="_tick", place="rome")["home"] is None
    assert completed(received_at=20, event_type="_tick", place="rome")["celsius"] is None
