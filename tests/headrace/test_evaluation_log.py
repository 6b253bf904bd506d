"""Anybody's log: what is read of it, and what is said of what cannot be."""

import gzip

import pytest

from headrace.errors import UsageProblem
from headrace.evaluation.log import columns_of, read
from headrace.evaluation.run import check_labels

COLUMNS = "user=who,item=what,time=when,label=clicked"


def log_of(path, text, mapping=COLUMNS, *, known=(), warm_share=0.5):
    path.write_text(text, encoding="utf-8")
    return read(path, columns_of(mapping, known), warm_share=warm_share)


def test_rows_come_by_time_and_ties_in_file_order(tmp_path):
    log = log_of(tmp_path / "x.csv", "who,what,when,clicked\nu2,b,20,1\nu1,a,10,0\nu3,c,20,1\n")
    told = [(visit.user_id, visit.item_id, visit.at_ms, bool(visit.feedback)) for visit in log.recording.visits]
    assert told == [("u1", "a", 10_000, False), ("u2", "b", 20_000, True), ("u3", "c", 20_000, True)]


@pytest.mark.parametrize(
    ("name", "text", "mapping"),
    [
        ("x.tsv", "who\twhat\twhen\nu1\ta\t1649581149287\n", "user=who,item=what,time=when"),
        ("x.dat", "u1::a::7::1649581149.287\n", "user=1,item=2,time=4"),
        ("x.csv", "who,what,when\nu1,a,2022-04-10T08:59:09.287Z\n", "user=who,item=what,time=when"),
        ("x.csv", "who,what,when\nu1,a,2022-04-10 08:59:09.287\n", "user=who,item=what,time=when"),
        ("x.csv", '\ufeff"who","what","when"\n"u1","a","1649581149.287"\n', "user=who,item=what,time=when"),
    ],
    ids=["tabs and ms", "no header, seconds with a fraction", "ISO 8601", "and by UTC", "quotes and a mark of UTF-8"],
)
def test_separators_headers_and_units_of_time(tmp_path, name, text, mapping):
    (visit,) = log_of(tmp_path / name, text, mapping).recording.visits
    assert (visit.user_id, visit.item_id, visit.at_ms, bool(visit.feedback)) == ("u1", "a", 1649581149287, True)


def test_a_gzipped_log(tmp_path):
    path = tmp_path / "x.csv.gz"
    path.write_bytes(gzip.compress(b"who,what,when\nu1,a,1\n"))
    assert len(read(path, columns_of("user=who,item=what,time=when", ()), warm_share=0.5).recording.visits) == 1


def test_rows_that_cannot_be_read_are_counted_and_told_of(tmp_path):
    log = log_of(tmp_path / "x.csv", "who,what,when,clicked\nu1,a,1,1\n,a,2,1\nu1,a,soon,1\nu1,a,3,maybe\n\nu1,a\n\n")
    assert (log.rows, len(log.recording.visits)) == (5, 1)
    assert log.faults == [
        "line 3: no user",
        "line 4: the time is 'soon', seconds or milliseconds since 1970 or 2026-01-31T12:00:00 are wanted",
        "line 5: the label is 'maybe', 0 or 1 is wanted",
        "line 7: the label is '', 0 or 1 is wanted",
    ]


@pytest.mark.parametrize(
    ("mapping", "text", "said"),
    [
        ("user=who,item=what", "who,what,when\n", "write user=…,item=…,time=…"),
        ("user=who,item=what,time=at", "who,what,when\nu,a,1\n", "has no column at; it has who, what, when"),
        ("user=who,item=what,time=when", "who,what,when\nu,a,x\n", "none of 1 rows could be read: line 2"),
        ("user=who,item=what,time=when", "who,what,when\n", "there are no rows"),
        ("user=who,item=what,time=when", "", "begins with nothing; a header and rows are wanted"),
    ],
)
def test_a_mapping_or_a_log_that_does_not_fit(tmp_path, mapping, text, said):
    with pytest.raises(UsageProblem, match=said):
        log_of(tmp_path / "x.csv", text, mapping)


@pytest.mark.parametrize(
    ("name", "content"),
    [("x.csv", "who,what,when\nj\u00fcrgen,a,1\n".encode("latin-1")), ("x.csv.gz", b"who,what,when\n")],
    ids=["not UTF-8", "not gzipped"],
)
def test_a_file_that_cannot_be_read(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageProblem, match="cannot be read"):
        read(tmp_path / name, columns_of("user=who,item=what,time=when", ()), warm_share=0.5)


def test_a_separator_in_quotes_and_a_quote_that_is_not_closed(tmp_path):
    log = log_of(tmp_path / "x.csv", 'who,what,when\nu,"a, b",1\nv,"c,2\nw,d,3\n', "user=who,item=what,time=when")
    assert [visit.item_id for visit in log.recording.visits] == ["a, b"]
    assert log.faults == ["line 4: a quote is not closed on its line: up to there 2 lines are one row"]


def test_a_number_that_is_none_cuts_nothing(tmp_path):
    rows = "".join(f"u,i{n},{n},{'nan' if n == 3 else n}\n" for n in range(1, 21))
    log = log_of(tmp_path / "x.csv", f"who,what,when,length\n{rows}", "user=who,item=what,time=when",
                 known=("length",), warm_share=0.99)  # fmt: skip
    categories = {item.item_id: item.category for item in log.recording.items}
    assert (categories["i3"], categories["i1"], categories["i20"]) == ("0", "1", "10")


def test_known_columns_become_the_category(tmp_path):
    rows = "".join(f"u,i{n},{n},{n * 10},{'ab'[n % 2]}\n" for n in range(1, 21))
    log = log_of(tmp_path / "x.csv", f"who,what,when,length,kind\nu,i0,0,0,a\n{rows}",
                 "user=who,item=what,time=when", known=("length", "kind"), warm_share=0.99)  # fmt: skip
    categories = {item.item_id: item.category for item in log.recording.items}
    assert (categories["i0"], categories["i1"], categories["i20"]) == ("0|a", "1|b", "10|a")


def test_sessions_are_those_given_or_end_with_half_an_hour(tmp_path):
    text = "who,what,when,visit\nu,a,0,x\nu,b,3600,x\n"
    given = log_of(tmp_path / "x.csv", text, "user=who,item=what,time=when,session=visit")
    made = log_of(tmp_path / "x.csv", text, "user=who,item=what,time=when")
    assert [visit.session_id for visit in given.recording.visits] == ["u-x", "u-x"]
    assert len({visit.session_id for visit in made.recording.visits}) == 2


def test_labels_of_one_kind_are_refused(tmp_path):
    log = log_of(tmp_path / "x.csv", "who,what,when,clicked\nu,a,1,0\nu,a,2,0\nu,a,3,7\n")
    with pytest.raises(UsageProblem, match="label=clicked is 0 in all of 2 rows, and 1 more could not be read"):
        check_labels(log, "clicked")
