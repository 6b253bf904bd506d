"""The shipped features: their own tests, their Flink SQL and their wire formats."""

import json
from collections.abc import Callable

import msgspec
import pytest

from headrace.lang.executors.flink_sql import TopicTable, statements
from headrace.lang.executors.topic_contracts import sequence_contracts, tile_contracts
from headrace.lang.plan.plan import Plan
from headrace.lang.planner.load import load_plan
from headrace.lang.testfiles.cases import SUFFIX, cases_in
from headrace.lang.testfiles.runner import run_cases
from tests.support.paths import REPOSITORY, TESTS

FEATURES = REPOSITORY / "features"
GROUPS = sorted(path.stem for path in FEATURES.glob("*.sql"))


def options(table: TopicTable) -> str:
    return f"'topic' = '{table.topic}', 'mode' = '{table.mode}'"


def test_every_group_has_a_test_file() -> None:
    assert sorted(path.name.removesuffix(SUFFIX) for path in FEATURES.glob(f"*{SUFFIX}")) == GROUPS


@pytest.mark.parametrize("name", GROUPS)
def test_cases(shipped: Plan, name: str) -> None:
    cases = cases_in({name + SUFFIX: (FEATURES / f"{name}{SUFFIX}").read_text(encoding="utf-8")}, shipped)
    assert [str(failure) for group, case in cases for failure in run_cases(group, [case])] == []


@pytest.mark.parametrize("name", GROUPS)
def test_flink_sql(shipped: Plan, golden: Callable[[str, str], None], name: str) -> None:
    sql = statements(shipped.group(name), source_table="events_clean", table_options=options)
    golden(f"flink/{name}.sql", ";\n\n".join([*sql.tables, *sql.views, *sql.inserts]) + ";\n")


@pytest.mark.parametrize("name", ["everything", "next_items", "two_keys", "visits", "shares", "together", "either"])
def test_flink_sql_of_every_aggregate(golden: Callable[[str, str], None], name: str) -> None:
    laws = load_plan(TESTS / "lang" / "fixtures/laws")
    sql = statements(laws.group(name), source_table="readings_clean", table_options=options)
    golden(f"flink/laws_{name}.sql", ";\n\n".join([*sql.tables, *sql.views, *sql.inserts]) + ";\n")


@pytest.mark.parametrize("name", GROUPS)
def test_plan(shipped: Plan, golden: Callable[[str, str], None], name: str) -> None:
    text = json.dumps(msgspec.to_builtins(shipped.group(name)), indent=1)
    golden(f"plan/{name}.json", text + "\n")
    assert msgspec.json.decode(text, type=type(shipped.group(name))) == shipped.group(name)


@pytest.mark.parametrize("name", GROUPS)
def test_avro(shipped: Plan, golden: Callable[[str, str], None], name: str) -> None:
    group = shipped.group(name)
    contracts = [tile_contracts(group), *([sequence_contracts(group)] if group.sequences else [])]
    schemas = [schema for both in contracts for schema in (both.key.schema, both.value.schema)]
    golden(f"avro/{name}.json", json.dumps(schemas, indent=1) + "\n")
