"""Columns stamped from declared streams: the plan of several files, and the errors if they do not match."""

import re
from collections.abc import Callable

import msgspec
import pytest

from headrace.features.explain import explain_feature
from headrace.lang.errors.report import LangError
from headrace.lang.plan.clean_topic import contract
from headrace.lang.plan.plan import Plan
from headrace.lang.planner.load import check_files, parse_plan
from headrace.lang.syntax.duration import format_duration
from headrace.lang.testfiles.cases import cases_in
from headrace.lang.testfiles.runner import run_cases
from tests.support.paths import REPOSITORY

KEPT = "lateness '1 day', future '5 minutes', dedupe id WITHIN '2 days'"
COLUMNS = "id STRING REQUIRED, at_ms BIGINT REQUIRED, received_at BIGINT"
USERS = f"""SOURCE users (topic 'users', event_time at_ms, {KEPT}, mask (email) WITH hash, retain lifetime)
COLUMNS ({COLUMNS}, user_id STRING REQUIRED, email STRING, home STRING);"""
WEATHER = f"""SOURCE weather (topic 'weather', event_time at_ms, {KEPT})
COLUMNS ({COLUMNS}, region STRING REQUIRED, celsius DOUBLE);"""
VISITS = f"""SOURCE visits (topic 'visits', event_time at_ms, {KEPT},
  stamp items (category STRING, price DOUBLE) ON item_id,
  stamp users (email STRING, home STRING) ON user_id,
  stamp weather (celsius DOUBLE) ON place = region
) COLUMNS ({COLUMNS}, user_id STRING REQUIRED, item_id STRING, country STRING,
  place STRING AS coalesce(country, home));"""
GROUP = """FEATURE GROUP cold (
  version 1, owner 'tests', entity user_id, source visits, on_missing zero, description 'Visits in the cold'
);
SELECT count(*) FILTER (WHERE celsius < 0.0 AND email IS NOT NULL) OVER 1h AS cold_1h FROM visits GROUP BY user_id;"""


def planned(**changed: str) -> Plan:
    files = {"cold": GROUP, "users": USERS, "visits": VISITS, "weather": WEATHER} | changed
    return parse_plan({f"{name}.sql": text for name, text in files.items()})


def messages(**changed: str) -> str:
    with pytest.raises(LangError) as raised:
        planned(**changed)
    return f"{raised.value}\n"


def test_a_source_has_its_tables() -> None:
    source = planned().source("visits")
    assert [(each.table, each.key, each.lookup) for each in source.stamps] == [
        ("items", "item_id", "item_id"),
        ("users", "user_id", "user_id"),
        ("weather", "place", "region"),
    ]
    assert [(stream.name, format_duration(stream.retain_ms)) for stream in source.streams] == [
        ("users", "lifetime"),
        ("weather", "7d"),
        ("visits", "7d"),
    ]
    names = [field["name"] for field in contract(source).fields]
    assert names[6:] == [
        "category", "price", "email", "home", "celsius", "place", "source_partition", "source_offset",
    ]  # fmt: skip


def test_the_example_in_the_streams_page_is_valid() -> None:
    page = (REPOSITORY / "docs" / "streams.md").read_text(encoding="utf-8")
    files = dict(re.findall(r"```sql\n-- (features/\S+)\n(.*?)```", page, re.DOTALL))
    tests = dict(re.findall(r"```yaml\n# (features/\S+)\n(.*?)```", page, re.DOTALL))
    found = check_files(files)
    assert (len(files), found.errors, found.warnings) == (5, (), ())
    ((group, case),) = cases_in(tests, found.plan)
    assert run_cases(group, [case]) == []


def test_a_plan_survives_topic_control_with_its_tables() -> None:
    group = planned().group("cold")
    assert msgspec.json.decode(msgspec.json.encode(group), type=type(group)) == group


def test_a_feature_is_explained_down_to_the_tables() -> None:
    text = explain_feature(planned(), "cold_1h")
    assert "celsius (stamped from weather), email (stamped from users, a keyed hash)" in text


def test_a_circle_is_reported_once_and_a_broken_table_only_where_it_is_declared(
    golden: Callable[[str, str], None],
) -> None:
    circle = messages(
        weather=WEATHER.replace("dedupe", "stamp visits (country STRING) ON region = country, dedupe"),
        cold=USERS.replace("SOURCE users", "SOURCE items"),
    )
    broken = messages(users=USERS.replace("home STRING", "home TEXT"), cold=WEATHER.replace("weather", "storms"))
    golden("errors/F118_circle.txt", circle + broken)


def test_a_masked_key_is_refused(golden: Callable[[str, str], None]) -> None:
    masked = USERS.replace("mask (email)", "mask (email, home)")
    golden(
        "errors/F140_masked_key.txt", messages(users=masked, visits=VISITS.replace("ON user_id", "ON country = home"))
    )


def test_a_hashed_column_stays_hashed_through_several_stamps() -> None:
    mails = f"""SOURCE mails (topic 'mails', event_time at_ms, {KEPT}, stamp visits (email STRING) ON user_id)
    COLUMNS ({COLUMNS}, user_id STRING REQUIRED);"""
    last = f"""SOURCE opened (topic 'opened', event_time at_ms, {KEPT}, stamp mails (user_id STRING) ON mail = email)
    COLUMNS ({COLUMNS}, mail STRING);"""
    assert planned(mails=mails).source("mails").hashed == ("email",)
    assert "email is masked in mails" in messages(mails=mails, opened=last)
