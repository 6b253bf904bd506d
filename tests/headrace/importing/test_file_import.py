"""Rows of files as records: every format gives the same events, from any row on, and each row left out has a reason."""

import gzip
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import csv, parquet

from headrace.errors import UsageProblem
from headrace.importing.events import EventRows
from headrace.importing.files import ROWS, find_files
from headrace.importing.items import ItemRows
from headrace.importing.mapping import parse_mapping
from headrace.importing.records import RowMaker
from headrace.importing.run import FileImport, RefusedLine, _append
from headrace.lang.planner.load import load_plan
from headrace.layout import FEATURES
from headrace.schemas.catalogue import ITEM
from headrace.schemas.limits import EARLIEST_MS

T0 = 1_790_000_000_000
MAP = "event_id=id,user_id=customer,occurred_at=ts,context.country=country"
ROW_COUNT = 2 * ROWS + 500


def clickstream() -> EventRows:
    return EventRows(load_plan(FEATURES).for_events().sources[0])


def clicks(count: int = ROW_COUNT) -> pa.Table:
    return pa.table(
        {
            "id": [f"e{number}" for number in range(count)],
            "customer": [f"u{number % 7}" for number in range(count)],
            "item_id": [f"i{number % 11}" if number % 5 else None for number in range(count)],
            "ts": [T0 + 1_000 * number for number in range(count)],
            "country": ["de, at" if number % 3 else None for number in range(count)],
            "other": ["x"] * count,
        }
    )


def write_parquet(path: Path, table: pa.Table) -> None:
    parquet.write_table(table, path, row_group_size=700)


def write_csv(path: Path, table: pa.Table) -> None:
    csv.write_csv(table, path)


def write_gzipped(path: Path, table: pa.Table) -> None:
    text = io.BytesIO()
    csv.write_csv(table, text, csv.WriteOptions(delimiter=";"))
    path.write_bytes(gzip.compress(text.getvalue()))


def write_utf_16(path: Path, table: pa.Table) -> None:
    text = io.BytesIO()
    csv.write_csv(table, text, csv.WriteOptions(delimiter="\t"))
    path.write_bytes(text.getvalue().decode().encode("utf-16"))


WRITERS = [write_parquet, write_csv, write_gzipped, write_utf_16]


def opened(
    path: Path, *, maker: RowMaker | None = None, columns: str = MAP, constants: tuple[str, ...] = ()
) -> FileImport:
    (file,) = find_files([str(path)])
    return FileImport(file, maker or clickstream(), parse_mapping(columns, constants or ("event_type=click",)))


def events(found: FileImport, first: int = 0) -> list[dict[str, Any]]:
    return [json.loads(each.value or b"") for batch in found.batches(first) for each in batch.records]


def refused(found: FileImport) -> list[RefusedLine]:
    return [each for batch in found.batches(0) for each in batch.refused]


@pytest.mark.parametrize("write", WRITERS)
def test_every_format_gives_the_same_events(tmp_path: Path, write: Callable[[Path, pa.Table], None]) -> None:
    write(tmp_path / "clicks", clicks())
    found = events(opened(tmp_path / "clicks"))
    assert len(found) == ROW_COUNT
    assert found[0] == {
        "event_id": "e0",
        "user_id": "u0",
        "event_type": "click",
        "occurred_at": T0,
        "received_at": T0,
    }
    assert found[1]["item_id"] == "i1"
    assert found[1]["context"] == {"country": "de, at"}


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("first", [0, 1, 699, 700, 701, ROWS, ROW_COUNT - 1, ROW_COUNT])
def test_an_import_continues_at_any_row(tmp_path: Path, write: Callable[[Path, pa.Table], None], first: int) -> None:
    write(tmp_path / "clicks", clicks())
    found = opened(tmp_path / "clicks")
    assert events(found, first) == events(found)[first:]
    assert [batch.rows for batch in found.batches(first)][-1:] == ([ROW_COUNT] if first < ROW_COUNT else [])


@pytest.mark.parametrize(
    "times",
    [
        pa.array([T0]),
        pa.array([T0 // 1000]),
        pa.array([T0 * 1000]),
        pa.array([T0 / 1000]),
        pa.array([datetime.fromtimestamp(T0 / 1000, UTC)], pa.timestamp("us", "UTC")),
        pa.array([T0 * 1_000_000]).cast(pa.timestamp("ns")),
        pa.array([datetime.fromtimestamp(T0 / 1000, UTC).isoformat()]),
        pa.array([str(T0 // 1000)]),
        pa.array([str(T0)]).dictionary_encode(),
    ],
    ids=str,
)
def test_times_in_any_unit_become_milliseconds(tmp_path: Path, times: pa.Array) -> None:
    parquet.write_table(pa.table({"customer": ["u"], "ts": times}), tmp_path / "clicks")
    (event,) = events(opened(tmp_path / "clicks", columns="user_id=customer,occurred_at=ts"))
    assert event["occurred_at"] == event["received_at"] == T0


def test_ids_with_gaps_stay_whole_and_rows_without_an_id_get_one_that_stays(tmp_path: Path) -> None:
    table = pa.table(
        {"user_id": [7.0, 8.0], "item_id": [1.0, None], "occurred_at": [T0, T0], "value": [0.5, float("nan")]}
    )
    parquet.write_table(table, tmp_path / "clicks")
    first, second = events(opened(tmp_path / "clicks", columns=""))
    assert (first["user_id"], first["item_id"], first["value"]) == ("7", "1", 0.5)
    assert "item_id" not in second
    assert "value" not in second
    (tmp_path / "clicks").rename(tmp_path / "renamed")
    again = events(opened(tmp_path / "renamed", columns=""))
    assert [each["event_id"] for each in again] == [first["event_id"], second["event_id"]]
    assert first["event_id"] != second["event_id"]


def test_rows_that_cannot_be_used_are_reported_with_their_values(tmp_path: Path) -> None:
    good = "u1,é,1790000000\n".encode()
    bad = [b"u1,i1,soon\n", b",i1,1790000000\n", b"u1,1790000000\n", b"u\xff,i1,1790000000\n"]
    (tmp_path / "clicks").write_bytes(b"user_id,item_id,occurred_at\n" + good * 5 + b"".join(bad))
    found = refused(opened(tmp_path / "clicks", columns=""))
    _append(tmp_path / "refused.jsonl", found)
    kept = [json.loads(line) for line in (tmp_path / "refused.jsonl").read_text().splitlines()]
    assert [each["reason"] for each in kept] == [each.reason for each in found]
    reasons = [each.reason.split(":")[0] for each in found]
    assert sorted(reasons) == ["fields", "missing", "text", "time"]
    assert {each.row for each in found} == {None, 6, 7, 8}
    assert any(each.values.get("occurred_at") == "soon" for each in found)
    assert any(each.values == {"line": "u1,1790000000"} for each in found)


def test_quotes_that_come_late_are_quotes(tmp_path: Path) -> None:
    plain = "".join(f"u{number},i1,{T0 + number}\n" for number in range(6_000))
    (tmp_path / "clicks").write_text("user_id,item_id,occurred_at\n" + plain + f'"u,1","i""2",{T0}\n')
    last = events(opened(tmp_path / "clicks", columns=""))[-1]
    assert (last["user_id"], last["item_id"]) == ("u,1", 'i"2')


def test_dates_are_read_alike_wherever_an_import_continues(tmp_path: Path) -> None:
    days = ["2/13/2026"] + ["3/4/2026"] * (2 * ROWS)
    write_csv(tmp_path / "clicks", pa.table({"user_id": ["u"] * len(days), "occurred_at": days}))
    found = opened(tmp_path / "clicks", columns="")
    assert events(opened(tmp_path / "clicks", columns=""), ROWS) == events(found)[ROWS:]
    assert events(found, ROWS)[0]["occurred_at"] == 1_772_582_400_000


def test_a_column_of_times_may_begin_empty(tmp_path: Path) -> None:
    days = [""] * (ROWS + 1) + ["13.02.2026"]
    write_csv(tmp_path / "clicks", pa.table({"user_id": ["u"] * len(days), "occurred_at": days}))
    assert [each["occurred_at"] for each in events(opened(tmp_path / "clicks", columns=""))] == [1_770_940_800_000]


def test_constants_have_the_types_of_their_columns(tmp_path: Path) -> None:
    write_csv(tmp_path / "clicks", clicks(2))
    constants = ("event_type=dwell", "value=1.5", "position=3", "context.source=history")
    (first, second) = events(opened(tmp_path / "clicks", constants=constants))
    assert (first["value"], first["position"], first["context"]) == (1.5, 3, {"source": "history"})
    assert second["context"] == {"source": "history", "country": "de, at"}


def test_words_for_missing_values_and_infinities_are_no_values(tmp_path: Path) -> None:
    (tmp_path / "clicks").write_text(
        f"user_id,item_id,occurred_at,value\nNULL,i1,{T0},1\nu1,\\N,{T0},1\nu1,i1,{T0},inf\n"
    )
    found = opened(tmp_path / "clicks", columns="")
    assert [each.get("item_id") for each in events(found)] == [None]
    assert [each.reason.partition(":")[0] for each in refused(found)] == ["missing", "type"]


def test_short_rows_are_reported_once_however_the_import_is_resumed(tmp_path: Path) -> None:
    lines = [f"u1,i1,{T0 + number}" if number % 3 else "short" for number in range(3_000)]
    (tmp_path / "clicks").write_text("\n".join(["user_id,item_id,occurred_at", *lines, "short", ""]))
    found = opened(tmp_path / "clicks", columns="")
    found.check()  # a third of short rows does not mean that the mapping is wrong
    assert len(refused(found)) == 1_001
    assert sum(len(batch.refused) for batch in found.batches(2_000)) == 0
    assert sum(len(batch.refused) for batch in found.batches(1_000)) < 510


def test_texts_are_translated_and_decimal_commas_are_read(tmp_path: Path) -> None:
    lines = [
        "user_id;Aktion;Wert;occurred_at",
        "u1;Kauf;1238,92;13.11.2026 08:15",
        "u1;click;1,234;13.11.2026 08:16",
        "",
    ]
    (tmp_path / "clicks").write_text("\n".join(lines))
    (file,) = find_files([str(tmp_path / "clicks")])
    mapping = parse_mapping("event_type=Aktion,value=Wert", (), ["event_type.Kauf=purchase"])
    found = FileImport(file, clickstream(), mapping)
    (event,) = events(found)
    assert (event["event_type"], event["value"], event["occurred_at"]) == ("purchase", 1238.92, 1_794_557_700_000)
    (line,) = refused(found)
    assert "1,234" in str(line.values)


@pytest.mark.parametrize(
    ("at", "reason"), [("31.02.2026", "time: occurred_at is '31.02.2026'"), (str(T0 * 2), "is in the future")]
)
def test_a_time_that_is_none_or_to_come_is_named(tmp_path: Path, at: str, reason: str) -> None:
    (tmp_path / "clicks").write_text(f"user_id,item_id,occurred_at\nu1,i1,{T0}\nu1,i1,{T0}\nu1,i1,{at}\n")
    (line,) = refused(opened(tmp_path / "clicks", columns=""))
    assert reason in line.reason


def test_another_mapping_is_another_import(tmp_path: Path) -> None:
    write_csv(tmp_path / "clicks", clicks(2))
    first, second = opened(tmp_path / "clicks"), opened(tmp_path / "clicks", constants=("event_type=purchase",))
    assert first.name == opened(tmp_path / "clicks").name
    assert first.name != second.name
    texts = ["event_type.a=b", "event_type.c=d"]
    assert parse_mapping("", (), texts).fingerprint == parse_mapping("", (), texts[::-1]).fingerprint


@pytest.mark.parametrize("content", ['{"user_id": 1}\n', "PK\x03\x04 sheet", "a,a\n1,2\n"])
def test_what_is_no_table_says_what_it_is(tmp_path: Path, content: str) -> None:
    (tmp_path / "file").write_text(content)
    with pytest.raises(UsageProblem, match=r"JSON|a zip archive|2 columns named 'a'"):
        opened(tmp_path / "file")


def test_a_folder_may_hold_more_files_than_a_process_may_open(tmp_path: Path) -> None:
    for number in range(60):
        write_parquet(tmp_path / f"{number}.parquet", clicks(1))
    before = len(list(Path("/proc/self/fd").iterdir())) if Path("/proc/self/fd").exists() else 0
    maker = clickstream()
    found = [FileImport(file, maker, parse_mapping(MAP, ["event_type=click"])) for file in find_files([str(tmp_path)])]
    if before:
        assert len(list(Path("/proc/self/fd").iterdir())) < before + 10
    assert len(found) == 60


def test_a_wrong_mapping_stops_before_anything_is_written(tmp_path: Path) -> None:
    write_csv(tmp_path / "clicks", clicks(10))
    with pytest.raises(UsageProblem, match=r"10 of the first 10 rows cannot be used: .*Is --map right\?"):
        opened(tmp_path / "clicks", columns="user_id=customer,occurred_at=country").check()


@pytest.mark.parametrize(
    ("columns", "constants", "message"),
    [
        ("user_id=custmer,occurred_at=ts", (), "clicks has no column custmer; did you mean customer?"),
        ("usr_id=customer,occurred_at=ts", (), "there is no column usr_id to fill; did you mean user_id?"),
        ("occurred_at=ts", (), "nothing fills user_id: clicks has the columns id, customer"),
        ("user_id=customer,occurred_at=ts,user_id=id", (), "--map names user_id twice"),
        ("user_id=customer,occurred_at=ts", ("user_id=u",), "user_id is in --map and in --set"),
        ("user_id", (), "--map has 'user_id'; write column=…"),
        ("user_id=customer,occurred_at=ts,value.x=id", (), "there is no column value.x to fill"),
    ],
)
def test_a_mapping_that_fits_nothing_is_refused(
    tmp_path: Path, columns: str, constants: tuple[str, ...], message: str
) -> None:
    write_csv(tmp_path / "clicks", clicks(3))
    with pytest.raises(UsageProblem) as refusal:
        opened(tmp_path / "clicks", columns=columns, constants=("event_type=click", *constants))
    assert message in str(refusal.value)


def test_items_are_known_before_the_first_event_unless_a_column_says_when(tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text("sku,category,tags,price,changed\n1,shoes,red|new,9.5,\n2,hats,,,2026-01-01\n")
    mapping = parse_mapping("item_id=sku,received_at=changed", ["seller=us"], ["tags.red=blue"])  # of texts only
    (file,) = find_files([str(tmp_path / "items.csv")])
    found = FileImport(file, ItemRows(), mapping)
    first, second = (ITEM.decode(each.value or b"") for batch in found.batches(0) for each in batch.records)
    assert (first["item_id"], first["tags"], first["price"], first["seller"]) == ("1", ["red", "new"], 9.5, "us")
    assert first["received_at"] == first["born_at"] == EARLIEST_MS
    assert second["received_at"] == 1_767_225_600_000


@pytest.mark.parametrize(
    ("row", "reason"), [("1,,2", "type"), ("1,a,much", "type"), ("1,a,-2", "type"), (",a,2", "type")]
)
def test_items_that_the_api_would_refuse_are_refused(tmp_path: Path, row: str, reason: str) -> None:
    (tmp_path / "items.csv").write_text(f"item_id,category,price\n{row}\n")
    (line,) = refused(opened(tmp_path / "items.csv", maker=ItemRows(), columns="", constants=("title=t",)))
    assert line.reason.startswith(reason)


@pytest.mark.parametrize("content", [b"PAR1 and then nothing", b"", b"\x1f\x8b not gzip"])
def test_a_damaged_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(UsageProblem):
        opened(tmp_path / "file")
