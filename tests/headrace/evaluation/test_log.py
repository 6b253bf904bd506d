"""Logs in many formats: which rows are read, and how the others are reported."""

import gzip
from pathlib import Path

import pytest

from headrace.errors import UsageProblem
from headrace.evaluation.log import parse_columns, positives_of, read
from headrace.evaluation.run import check_labels

AT = 1_600_000_000  # seconds
COLUMNS = "user=who,item=what,time=when,label=clicked"


def log_of(path, text, mapping=COLUMNS, *, item_features=(), warm_share=0.5):
    path.write_text(text, encoding="utf-8")
    return read(path, parse_columns(mapping, item_features), warm_share=warm_share)


def test_a_missing_file_is_reported_with_the_folder_that_was_searched(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageProblem) as raised:
        read(Path("clicks.csv"), parse_columns(COLUMNS, ()), warm_share=0.5)
    expected = f"there is no file clicks.csv (looked in {tmp_path}); give the path of a delimited or Parquet file"
    assert str(raised.value) == expected
    with pytest.raises(UsageProblem, match=r"there is no file .*clicks\.csv; give the path"):
        read(tmp_path / "clicks.csv", parse_columns(COLUMNS, ()), warm_share=0.5)


def test_rows_come_by_time_and_ties_in_file_order(tmp_path):
    log = log_of(tmp_path / "x.csv", f"who,what,when,clicked\nu2,b,{AT + 9},1\nu1,a,{AT},0\nu3,c,{AT + 9},1\n")
    visits = [
        (visit.user_id, visit.item_id, visit.at_ms - AT * 1000, bool(visit.feedback)) for visit in log.recording.visits
    ]
    assert visits == [("u1", "a", 0, False), ("u2", "b", 9_000, True), ("u3", "c", 9_000, True)]


@pytest.mark.parametrize(
    ("name", "text", "mapping"),
    [
        ("x.tsv", "who\twhat\twhen\nu1\ta\t1649581149287\n", "user=who,item=what,time=when"),
        ("x.dat", "u1::a::7::1649581149.287\n", "user=1,item=2,time=4"),
        ("x.csv", "who,what,when\nu1,a,2022-04-10T08:59:09.287Z\n", "user=who,item=what,time=when"),
        ("x.csv", "who,what,when\nu1,a,2022-04-10 08:59:09.287\n", "user=who,item=what,time=when"),
        ("x.csv", '\ufeff"who","what","when"\n"u1","a","1649581149.287"\n', "user=who,item=what,time=when"),
    ],
    ids=["tabs and ms", "no header, fractional seconds", "ISO 8601", "ISO 8601 without a zone", "quotes and a BOM"],
)
def test_separators_headers_and_units_of_time(tmp_path, name, text, mapping):
    (visit,) = log_of(tmp_path / name, text, mapping).recording.visits
    assert (visit.user_id, visit.item_id, visit.at_ms, bool(visit.feedback)) == ("u1", "a", 1649581149287, True)


@pytest.mark.parametrize("name", ["x.csv.gz", "x.csv"])
def test_a_gzipped_log_of_several_members(tmp_path, name):
    rows = f"who,what,when\nu1,a,{AT}\n", f"u2,b,{AT}\n"
    (tmp_path / name).write_bytes(b"".join(gzip.compress(part.encode()) for part in rows))
    log = read(tmp_path / name, parse_columns("user=who,item=what,time=when", ()), warm_share=0.5)
    assert [visit.user_id for visit in log.recording.visits] == ["u1", "u2"]


def test_rows_that_cannot_be_read_are_counted_and_reported(tmp_path):
    rows = f"u1,a,{AT},1\n,a,2,1\nu1,a,soon,1\nu1,a,{AT},maybe\n\nu1,a\n\nu1,,{AT},1\n"
    log = log_of(tmp_path / "x.csv", f"who,what,when,clicked\n{rows}")
    assert (log.rows, len(log.recording.visits)) == (6, 1)
    assert [fault.split(";")[0] for fault in log.faults] == [
        "line 3: no user",
        "line 4: the time is 'soon'",
        "line 5: the label is 'maybe', 0 or 1 is expected",
        "line 7: 2 fields, 4 in the header",
        "line 9: no item",
    ]
    assert {(left.reason, left.rows, left.first_line) for left in log.summary.left_out} == {
        ("no user", 1, 3),
        ("no readable time", 1, 4),
        ("no readable label", 1, 5),
        ("fewer fields than the header", 1, 7),
        ("no item", 1, 9),
    }


@pytest.mark.parametrize(
    ("mapping", "text", "said"),
    [
        ("user=who,item=what", "who,what,when\n", "write user=…,item=…,time=…"),
        ("user=who,item=what,time=at", "who,what,when\nu,a,1\n", "has no column at; it has who, what, when"),
        (
            "user=who,item=what,time=when",
            "who,what,when\nu,a,x\n",
            "1 of 1 rows have no readable time in when: line 2",
        ),
        ("user=who,item=what,time=when", "who,what,when\n", "there are no rows"),
        ("user=who,item=what,time=when", "", "is empty; a header and rows are expected"),
    ],
)
def test_a_mapping_that_does_not_fit_the_log_is_refused(tmp_path, mapping, text, said):
    with pytest.raises(UsageProblem, match=said):
        log_of(tmp_path / "x.csv", text, mapping)


def test_a_separator_in_quotes_and_a_quote_that_is_not_closed(tmp_path):
    text = f'who,what,when\nu,"a, b",{AT}\nv,"c,{AT}\nw,"d",{AT}\n'
    log = log_of(tmp_path / "x.csv", text, "user=who,item=what,time=when")
    assert [visit.item_id for visit in log.recording.visits] == ["a, b", "d"]
    assert log.faults == ["line 3: a quote is not closed at the end of its field"]


def test_nan_does_not_move_the_bins(tmp_path):
    rows = "".join(f"u,i{n},{AT + n},{'nan' if n == 3 else n}\n" for n in range(1, 21))
    log = log_of(tmp_path / "x.csv", f"who,what,when,length\n{rows}", "user=who,item=what,time=when",
                 item_features=("length",), warm_share=0.99)  # fmt: skip
    categories = {item.item_id: item.category for item in log.recording.items}
    assert (categories["i3"], categories["i1"], categories["i20"]) == ("0", "1", "10")


def test_item_features_become_the_category(tmp_path):
    rows = "".join(f"u,i{n},{AT + n},{n * 10},{'ab'[n % 2]}\n" for n in range(1, 21))
    log = log_of(tmp_path / "x.csv", f"who,what,when,length,kind\nu,i0,{AT},0,a\n{rows}",
                 "user=who,item=what,time=when", item_features=("length", "kind"), warm_share=0.99)  # fmt: skip
    categories = {item.item_id: item.category for item in log.recording.items}
    assert (categories["i0"], categories["i1"], categories["i20"]) == ("0|a", "1|b", "10|a")


def test_sessions_are_those_given_or_end_after_half_an_hour(tmp_path):
    text = f"who,what,when,visit\nu,a,{AT},x\nu,b,{AT + 3600},x\n"
    given = log_of(tmp_path / "x.csv", text, "user=who,item=what,time=when,session=visit")
    inferred = log_of(tmp_path / "x.csv", text, "user=who,item=what,time=when")
    assert [visit.session_id for visit in given.recording.visits] == ["u-x", "u-x"]
    assert len({visit.session_id for visit in inferred.recording.visits}) == 2


def test_a_log_with_only_one_label_is_refused(tmp_path):
    log = log_of(tmp_path / "x.csv", f"who,what,when,clicked\nu,a,{AT},0\nu,a,{AT},0\nu,a,{AT},7\n")
    with pytest.raises(UsageProblem, match="label=clicked is 0 in all of 2 rows, and 1 more could not be read"):
        check_labels(log, "clicked")


def test_a_label_may_be_a_number_that_is_compared(tmp_path):
    text = f"who,what,when,stars\nu,a,{AT},4.0\nu,b,{AT},3.5\nv,c,{AT},5\nv,d,{AT},nan\nv,e,{AT},many\n"
    log = log_of(tmp_path / "x.csv", text, "user=who,item=what,time=when,label=stars>=4")
    assert [bool(visit.feedback) for visit in log.recording.visits] == [True, False, True]
    assert [fault.split(";")[0] for fault in log.faults] == [
        "line 5: the label is '', a number is expected",
        "line 6: the label is 'many', a number is expected",
    ]
    kept = positives_of(log)
    assert [visit.item_id for visit in kept.recording.visits] == ["a", "c"]
    assert (len(kept.slates), len(kept.labels), kept.rows) == (2, 2, 5)


@pytest.mark.parametrize("label", ["stars>=", ">=4", "stars>=four", "stars>=4>=5"])
def test_a_comparison_that_is_none_is_refused(label):
    with pytest.raises(UsageProblem, match=f"label={label}; write label=COLUMN"):
        parse_columns(f"user=who,item=what,time=when,label={label}", ())
