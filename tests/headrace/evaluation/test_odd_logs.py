"""Odd logs from the field: what is read from each, and what is reported."""

import json
import os
from collections import Counter
from pathlib import Path

import pytest

from headrace.cli import app
from headrace.errors import UsageProblem
from headrace.evaluation import items
from headrace.evaluation.inspection import inspect
from headrace.evaluation.log import parse_columns, read
from headrace.layout import REPOSITORY
from headrace.reading import table
from headrace.reading.ids import match_ids
from headrace.replay import recordings

SIMPLE = "user=user,item=item,time=at"
BEGIN = "2020-09-13T12:27:40Z"


@pytest.fixture(scope="module")
def folder():
    path = Path(os.environ.get("HEADRACE_DATA", REPOSITORY / "../shared/data")) / "odd-logs"
    if not path.exists():
        if "CI" in os.environ:
            pytest.fail(f"{path} is missing; set HEADRACE_DATA")
        pytest.skip(f"{path} is missing; set HEADRACE_DATA to the folder of recorded data")
    return path


def log_of(path, mapping=SIMPLE, *, item_features=(), details=None):
    return read(path, parse_columns(mapping, item_features), warm_share=0.5, details=details)


def test_bars_between_genres_are_not_the_separator(folder):
    films, summary = items.read_with_summary(
        folder / "films_bars.dat", items.parse_columns("item=1,title=2,categories=3")
    )
    log = log_of(folder / "films_ratings.dat", "user=1,item=2,time=4", details=films)
    assert (summary.form.separator, summary.read, len(films)) == ("::", 10, 10)
    assert films["1"].tags == ["Adventure", "Animation", "Children", "Comedy", "Fantasy"]
    assert log.summary.items is not None
    assert log.summary.items.known == log.summary.items.items


def test_an_escaped_quote_is_part_of_the_title(folder):
    books, summary = items.read_with_summary(
        folder / "books_escaped.csv", items.parse_columns("item=ISBN,title=Book-Title")
    )
    assert (len(books), summary.left_out, summary.form.quoting) == (10, [], "backslash")
    assert books["i1"].title is not None
    assert 'the Real "J. Miller" Through Life &amp; the' in books["i1"].title


def test_rows_with_more_fields_than_the_header_are_left_out_and_counted(folder):
    log = log_of(folder / "shifted_silent.csv")
    (left,) = log.summary.left_out
    assert (log.rows, log.summary.read, left.rows, left.first_line) == (60, 57, 3, 7)
    assert left.reason == "more fields than the header"
    assert log.summary.time is not None
    assert log.summary.time.first == BEGIN


@pytest.mark.parametrize("name", ["separators_in_title.csv", "multiline.csv", "stray_quotes.tsv"])
def test_every_row_is_read(folder, name):
    log = log_of(folder / name)
    assert (log.rows, log.summary.read, log.summary.left_out) == (60, 60, [])


def test_cells_keep_the_file_s_characters(folder):
    titles = {row.fields[3] for row in table.read(folder / "separators_in_title.csv", ()).rows}
    assert {title[14] for title in titles if title != "plain"} == set("\u2028\u2029\v\f\x85")
    reviews = Counter(row.fields[3] for row in table.read(folder / "multiline.csv", ()).rows)
    assert reviews == {'first line\nsecond, "quoted" line': 20, "one line": 40}
    stray = Counter(row.fields[3] for row in table.read(folder / "stray_quotes.tsv", ()).rows)
    assert stray == {"fine": 58, '"loved it': 1, '"not for me': 1}


def test_a_single_quote_in_a_file_without_quoting_is_a_character(folder):
    log = log_of(folder / "quotes_in_dat.dat", "user=1,item=2,time=3")
    assert (log.rows, log.summary.read, log.summary.form.quoting) == (60, 60, "none")


def test_a_duplicate_column_name_is_refused(folder):
    with pytest.raises(UsageProblem, match=r"2 columns named 'id' \(1, 3\): rename all but one"):
        log_of(folder / "twice.csv", "user=id,item=id,time=at")


@pytest.mark.parametrize(
    ("name", "mapping", "unit", "first", "days"),
    [
        ("yyyymmdd.csv", "user=user_pseudo_id,item=item_id,time=event_date", "yyyymmdd", "2021-01-29T00:00:00Z", 6),
        ("excel_serial.csv", SIMPLE, "days since 1899-12-30 (a spreadsheet's serial number)", BEGIN, 2),
        ("times_utc_suffix.csv", "user=user_id,item=product_id,time=event_time", "ISO 8601", BEGIN, 2),
    ],
)
def test_times_are_read_in_the_reported_unit(folder, name, mapping, unit, first, days):
    log = log_of(folder / name, mapping)
    assert (log.summary.read, log.summary.left_out) == (60, [])
    assert log.summary.time is not None
    assert (log.summary.time.unit, log.summary.time.first, log.summary.time.days) == (unit, first, days)


def test_a_time_of_zero_is_missing(folder):
    log = log_of(folder / "zero_time.csv", f"{SIMPLE},label=clicked")
    (left,) = log.summary.left_out
    assert (log.summary.read, left.rows, left.first_line) == (54, 6, 2)
    assert "the time is '0', as seconds 1970-01-01" in left.example


def test_ids_that_differ_in_a_leading_zero(folder):
    details = items.read(folder / "leading_zero_items.csv", items.parse_columns("item=article_id,title=prod_name"))
    log = log_of(folder / "leading_zero_log.csv", "user=customer_id,item=article_id,time=t_dat", details=details)
    assert log.summary.items is not None
    assert log.summary.items.line.startswith("0 of 10 items of the log are in --items; ids differ in a leading zero")


@pytest.mark.parametrize("name", ["known_null.csv", "known_hive.csv", "known_na.csv"])
def test_a_word_for_a_missing_value_leaves_a_column_numeric(folder, name):
    log = log_of(folder / name, f"{SIMPLE},label=clicked", item_features=("length",))
    length = next(column for column in log.summary.columns if column.name == "length")
    assert (length.kind, length.empty, length.others) == ("whole number", 1, 0)
    assert len({item.category for item in log.recording.items}) == 11


def test_the_map_of_every_file_is_proposed(folder):
    maps = {path.name: inspect(path).proposal.map for path in folder.iterdir() if path.name != "twice.csv"}
    assert {name: text for name, text in maps.items() if text} == {
        "excel_serial.csv": SIMPLE,
        "films_ratings.dat": "user=1,item=2,time=4",
        **dict.fromkeys(("known_hive.csv", "known_na.csv", "known_null.csv"), f"{SIMPLE},label=clicked"),
        "leading_zero_log.csv": "user=customer_id,item=article_id,time=t_dat",
        "multiline.csv": SIMPLE,
        "quotes_in_dat.dat": "user=1,item=2,time=3",
        "separators_in_title.csv": SIMPLE,
        "shifted_silent.csv": SIMPLE,
        "stray_quotes.tsv": SIMPLE,
        "times_utc_suffix.csv": "user=user_id,item=product_id,time=event_time,session=user_session",
        "yyyymmdd.csv": "user=user_pseudo_id,item=item_id,time=event_date",
        "zero_time.csv": f"{SIMPLE},label=clicked",
    }


def test_inspect_prints_json(folder, capsys):
    app(["inspect", str(folder / "zero_time.csv"), "--json"], result_action="return_value")
    found = json.loads(capsys.readouterr().out)
    assert found["command"].endswith("zero_time.csv --map user=user,item=item,time=at,label=clicked")
    assert found["log"]["left_out"][0]["rows"] == 6


def test_evaluate_first_prints_how_it_read_the_log(folder, tmp_path, capsys):
    out = tmp_path / "out.json"
    mapping = ["--map", f"{SIMPLE},label=clicked", "--item-features", "length", "--json", str(out)]
    app(["evaluate", str(folder / "known_null.csv"), *mapping], result_action="return_value")
    first = capsys.readouterr().out.splitlines()[0]
    assert first == (
        "known_null.csv: delimited text, utf-8, separated by commas, no quoting, a header; 60 of 60 rows read"
    )
    report = json.loads(out.read_bytes())
    assert (report["log"]["time"]["unit"], report["log"]["rows"], report["rows"]) == ("seconds", 60, 60)


@pytest.mark.parametrize(
    ("name", "kind", "mapping"),
    [
        ("kuairand/exposures.tsv.gz", "kuairand", "user=user_id,item=video_id,time=time_ms,label=is_click"),
        ("movietweetings/ratings.dat.gz", "movietweetings", "user=1,item=2,time=4"),
    ],
)
def test_recordings_are_read_as_replay_reads_them(folder, name, kind, mapping):
    path = folder.parent / name
    evaluated, replayed = log_of(path, mapping), recordings.read(path, kind)
    assert [fields_of(visit) for visit in evaluated.recording.visits] == [fields_of(visit) for visit in replayed.visits]
    assert (evaluated.faults, evaluated.summary.left_out) == ([], [])


def fields_of(visit):
    clicked = any(event == "click" for event, _ in visit.feedback)
    return visit.user_id, visit.item_id, visit.at_ms, visit.session_id, clicked


@pytest.mark.parametrize(
    ("log", "file", "difference"),
    [
        (["A1", "B2"], ["a1", "b2"], "case"),
        (["12.0", "13.0"], ["12", "13"], "a trailing .0"),
        (["a b", "c d"], ["ab", "cd"], "whitespace"),
        (["tt0012", "tt0013"], ["0012", "0013"], "letters around the digits"),
        (["978-1", "978-2"], ["9781", "9782"], "punctuation"),
        (["a", "b"], ["a", "b"], ""),
        (["a", "b"], ["c", "d"], ""),
    ],
)
def test_ids_that_nearly_match(log, file, difference):
    assert match_ids(log, file).differ_in == difference
