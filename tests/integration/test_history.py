"""A history imported into the running line: its windows are right when the command ends, and again when replayed."""

from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from headrace.features import release
from headrace.importing.command import import_files
from headrace.lang.events.gate import Gate
from headrace.lang.planner.load import parse_plan, read_texts
from headrace.layout import FEATURES
from headrace.log.feature_versions import Registry, remove_data
from headrace.stack.flink_rest import FlinkRest
from headrace.store.kafka.log import read_values
from tests.support.comparison import by_the_oracle, mismatches
from tests.support.line import Line
from tests.support.random_events import random_events

pytestmark = [pytest.mark.stack, pytest.mark.timeout(400)]
EVENTS, ITEMS, DAY_MS = 3_000, 12, 86_400_000
GROUPS = ("user_recent", "item_engagement", "user_category")
Rows = list[dict[str, object]]


def category(item: object) -> str:
    return f"imported-{len(str(item)) % 3}"


def write_files(folder: Path, tag: str, events: Rows) -> None:
    """Items as CSV, events as two Parquet files whose columns have other names."""
    lines = (f"{tag}-i{number},{category(f'{tag}-i{number}')},{number}\n" for number in range(ITEMS))
    (folder / "items.csv").write_text("sku,category,price\n" + "".join(lines))
    (folder / "clicks").mkdir()
    for name, part in (("a", events[:1_000]), ("b", events[1_000:])):
        table = pa.Table.from_pylist(part)
        names = [{"user_id": "customer", "occurred_at": "happened"}.get(each, each) for each in table.column_names]
        parquet.write_table(table.rename_columns(names), folder / "clicks" / f"{name}.parquet")


def test_windows_of_an_imported_history_are_right_and_so_is_their_replay(line: Line, tmp_path: Path) -> None:
    now = line.now()
    tag = f"import{now}"
    start = now - 25 * DAY_MS
    events = random_events(EVENTS, seed=8, tag=tag, start_ms=start, span_ms=now - start - 60_000, items=ITEMS)
    write_files(tmp_path, tag, events)
    import_files("items", str(tmp_path / "items.csv"), columns="item_id=sku")
    for _ in range(2):  # the second time there is nothing left to do
        import_files("events", str(tmp_path / "clicks"), columns="user_id=customer,occurred_at=happened")
    written = [value for value in read_values(line.endpoints.bootstrap, "events") if f'"{tag}-'.encode() in value]
    assert len(written) == len(events)

    gate = Gate(line.plan.source("clickstream"))
    stamped = [
        event | {"category": category(event["item_id"]), "price": float(str(event["item_id"]).rpartition("i")[2])}
        for event in events
        if gate.judge(event) == "accepted"
    ]
    accepted = [event | {"seller": None} for event in stamped]
    keys = {
        "user_recent": [(f"{tag}-u{number}",) for number in range(20)],
        "item_engagement": [(f"{tag}-i{number}",) for number in range(ITEMS)],
        "user_category": [(f"{tag}-u{number}", category(f"{tag}-i{item}")) for number in range(20) for item in (1, 11)],
    }
    expected = [by_the_oracle(line.plan.group(name), accepted, keys[name], at_ms=now) for name in GROUPS]
    assert [sentence for each in expected for sentence in mismatches(each, line.reader)] == []

    registry, rest = Registry(line.endpoints, who="tests"), FlinkRest(line.endpoints.flink_url)
    files = read_texts(FEATURES)
    files["user_recent.sql"] = files["user_recent.sql"].replace("version 1", "version 2", 1)
    plan = parse_plan(files)
    found = release.plan_release(plan, registry.versions())
    assert [str(change) for change in found.changes if change.group == "user_recent"] == ["user_recent 1 → 2, rebuilt"]
    (version,) = release.apply_release(registry, rest, found, why="test", since=str(now))
    version = release.backfill_version(registry, rest, line.endpoints, version, since=str(now))
    again = by_the_oracle(plan.group("user_recent"), accepted, keys["user_recent"], at_ms=now)
    line.wait(lambda: not mismatches(again, line.reader), "the version computed again")
    release.retire_version(registry, version)
    line.wait(lambda: version.job not in rest.jobs(), "the end of its job")
    remove_data(line.layout, line.endpoints, version)
