"""The table reader: every dialect is read back as written, and no input makes it crash."""

import csv
import gzip
import io
import os
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import msgspec
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, seed, settings
from hypothesis import strategies as st
from pyarrow import parquet

from headrace.errors import UsageProblem
from headrace.evaluation.inspection import inspect
from headrace.evaluation.log import parse_columns, read
from headrace.layout import REPOSITORY
from headrace.reading import table
from headrace.reading.times import detect_clock

NAMES = ["user", "item", "at", "title"]
MAPPING = "user=user,item=item,time=at"
DIALECTS = {
    "excel": {},
    "unix": {"quoting": csv.QUOTE_ALL, "lineterminator": "\n"},
    "tabs": {"delimiter": "\t"},
    "semicolons, backslashes": {"delimiter": ";", "doublequote": False, "escapechar": "\\"},
    "bars": {"delimiter": "|"},
    "text in quotes": {"quoting": csv.QUOTE_NONNUMERIC},
}
CELLS = st.text(alphabet="ab ,;|\t:\"\\\n\r\u2028\u2029\x0b\x0c\x85é😀'", max_size=12)
PLAIN = 'he said "no"; then,|\t "yes"'  # shows how the file escapes a quote
IN_PLACE = settings(max_examples=60, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def written(rows, **dialect):
    out = io.StringIO(newline="")
    csv.writer(out, **dialect).writerows([NAMES, *rows])
    return out.getvalue()


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
@given(titles=st.lists(CELLS, min_size=1, max_size=12))
@example(titles=['x,y\n"', "a|b;c::d\t", '"', "\r", 'he said "no\nyes"'])
@seed(16)
@IN_PLACE
def test_rows_are_read_as_written(tmp_path, dialect, titles):
    rows = [[f"u{n}", f"i{n}", str(1_600_000_000 + n), title] for n, title in enumerate([*titles, PLAIN])]
    (tmp_path / "x.csv").write_text(written(rows, **dialect), encoding="utf-8", newline="")
    found = table.read(tmp_path / "x.csv", NAMES)
    assert [row.fields for row in found.rows] == rows
    assert found.unusable == []


@pytest.mark.parametrize("separator", ["::", "||", "\t", "\x01"])
@given(titles=st.lists(st.text(alphabet="ab ,;\"'\\é", max_size=12), min_size=2, max_size=12))
@seed(16)
@IN_PLACE
def test_without_quoting_a_quote_is_a_character(tmp_path, separator, titles):
    rows = [[f"u{n}", f"i{n}", str(1_600_000_000 + n), f"x{title}"] for n, title in enumerate(titles)]
    (tmp_path / "x.dat").write_text("".join(f"{separator.join(row)}\n" for row in rows), encoding="utf-8")
    found = table.read(tmp_path / "x.dat", ["1", "2", "3"])
    assert [row.fields for row in found.rows] == rows


def log_of(path, text, mapping=MAPPING):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read(path, parse_columns(mapping, ()), warm_share=0.5)


def lines(count=60, *, title="fine", sep=","):
    return [sep.join((f"u{n % 7}", f"i{n % 9}", str(1_600_000_000 + 60 * n), title)) for n in range(count)]


def test_a_stray_quote_closed_by_a_later_one_swallows_no_row(tmp_path):
    rows = [*lines(20, title='"a, b"'), *lines(20, title="fine"), *lines(20, title='"a, b"')]
    rows[21], rows[38] = rows[21].replace("fine", '"fine'), rows[38].replace("fine", 'fine"')
    log = log_of(tmp_path / "x.csv", "\n".join([",".join(NAMES), *rows]))
    assert (log.rows, log.summary.read) == (60, 59)
    assert log.faults == ["line 23: a quote is not closed at the end of its field"]


def test_a_quote_that_is_never_closed_costs_its_own_line(tmp_path):
    rows = lines(title='"a, b"')
    rows[3] = rows[3].removesuffix('"').replace(", b", "")
    log = log_of(tmp_path / "x.csv", "\n".join([",".join(NAMES), *rows]))
    assert (log.rows, log.summary.read, log.summary.left_out[0].first_line) == (60, 59, 5)


def test_stray_quotes_in_consecutive_lines_cost_only_these_lines(tmp_path):
    quoted, rows = lines(title='"a, b"'), lines(title="ab")
    rows[:20] = quoted[:20]
    rows[20] = rows[20].removesuffix("ab") + '"open'
    rows[21] = rows[21].replace(rows[21].split(",")[1], '"', 1)
    rows[40] += '"'
    log = log_of(tmp_path / "x.csv", "\n".join([",".join(NAMES), *rows]))
    assert (log.rows, log.summary.read) == (60, 58)


def test_equally_many_bars_in_each_row_do_not_hide_the_separator(tmp_path):
    for sep in ("::", "\t", ","):
        text = "\n".join(lines(title="A|B|C|D|E", sep=sep))
        (tmp_path / "x.dat").write_text(text)
        if sep != ",":  # bars and commas without a header may be either
            assert table.read(tmp_path / "x.dat", ["1", "2", "3"]).form.separator == sep
        head = sep.join(NAMES)
        assert log_of(tmp_path / "y.dat", f"{head}\n{text}").summary.form.separator == sep


@pytest.mark.parametrize(
    ("raw", "encoding"),
    [
        ("user,item,at\njürgen,a,1600000000\n".encode("latin-1"), "cp1252"),
        ("user,item,at\njürgen,a,1600000000\n".encode("utf-16"), "utf-16"),
        ("user,item,at\r\njürgen,a,1600000000\r\n".encode("utf-8-sig"), "utf-8"),
        ("user,item,at\rjürgen,a,1600000000\r".encode(), "utf-8"),
        ("sep=,\nuser,item,at\njürgen,a,1600000000\n".encode(), "utf-8"),
    ],
    ids=["latin-1", "UTF-16", "BOM and CRLF", "carriage returns alone", "a line that names the separator"],
)
def test_encodings_and_line_ends(tmp_path, raw, encoding):
    log = log_of(tmp_path / "x.csv", raw)
    assert [visit.user_id for visit in log.recording.visits] == ["jürgen"]
    assert log.summary.form.encoding == encoding


def test_one_row_in_another_encoding_is_left_out(tmp_path):
    raw = b"user,item,at\n" + "jürgen,a,1600000000\n".encode() + "jürgen,a,1600000000\n".encode("latin-1")
    assert log_of(tmp_path / "x.csv", raw).faults == ["line 3: bytes that are not UTF-8"]


def test_a_column_name_that_cannot_be_decoded_is_still_printed(tmp_path):
    raw = "user,item,at,pr\xe9nom\n".encode("latin-1") + "jürgen,a,1600000000,x\n".encode()
    assert log_of(tmp_path / "x.csv", raw).summary.columns[3].name == "pr�nom"


def test_a_repeated_header_and_empty_cells_beyond_the_header(tmp_path):
    log = log_of(tmp_path / "x.csv", "user,item,at\nu,a,1600000000,,\nuser,item,at\n\nv,b,1600000000\n")
    assert [visit.user_id for visit in log.recording.visits] == ["u", "v"]
    assert log.faults == ["line 3: a repeated header"]


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "is empty"),
        (b"\n \n", "is empty"),
        (b"PK\x03\x04rest", "a spreadsheet; CSV, TSV or Parquet is expected"),
        (b'{"user": 1}\n', "is JSON"),
        (b"PAR1 and no more", "cannot be read as Parquet"),
        (gzip.compress(b"user,item,at\n" * 99, mtime=0)[:-9], "cannot be read"),
        (b"user,item,at,user\nu,a,1600000000,v\n", "2 columns named 'user'"),
        (b"user,item,stamp_ms\nu,a,1600000000\n", "no column at; it has user, item, stamp_ms"),
        (b"User,item,at\nu,a,1600000000\n", "for user, did you mean User"),
        (b"user,item,at\nu,a,9\nu,a,5\n", "2 of 2 rows have no readable time in at: line 2: the time is '9'"),
        (b"user,item,at\nu,a,18518\n", "as seconds 1970-01-01; a time from 1980 to 2100 is expected"),
        (b"user,item,at\nu,a,03/04/2020\n", "read as %d/%m/%Y or as %m/%d/%Y"),
    ],
)
def test_a_refusal_says_why(tmp_path, raw, message):
    with pytest.raises(UsageProblem) as raised:
        log_of(tmp_path / "x.csv", raw)
    assert message in str(raised.value)


MOMENT = datetime(2020, 9, 13, 12, 27, 40, tzinfo=UTC)
MOMENT_MS = 1_600_000_060_000


@pytest.mark.parametrize(
    ("text", "unit", "off_ms"),
    [
        ("1600000060", "seconds", 0),
        ("1600000060.25", "seconds", 250),
        ("1.60000006e9", "seconds", 0),
        ("1600000060000", "milliseconds", 0),
        ("1600000060000999", "microseconds", 0),
        ("1600000060000000999", "nanoseconds", 0),
        ("20200913122740", "yyyymmddhhmmss", 0),
        ("2020091312", "yyyymmddhh", -1_660_000),
        ("1212121212", "seconds", 1_212_121_212_000 - MOMENT_MS),
        ("2020-09-13T12:27:40Z", "ISO 8601", 0),
        ("2020-09-13 12:27:40 UTC", "ISO 8601", 0),
        ("2020-09-13 12:27:40.123456789 GMT", "ISO 8601", 123),
        ("2020-09-13 14:27:40+02", "ISO 8601", 0),
        ("2020-09-13 12:27:40 +0000 UTC", "ISO 8601", 0),
        ("2020-09-13T12:27:40Z[UTC]", "ISO 8601", 0),
        ("2020/09/13 12:27:40", "ISO 8601", 0),
        ("20200913T122740Z", "ISO 8601", 0),
        ("2020-9-13 12:27:40", "%Y-%m-%d %H:%M:%S", 0),
        ("2020/9/13 12:27:40", "%Y/%m/%d %H:%M:%S", 0),
        ("13/Sep/2020:12:27:40 +0000", "%d/%b/%Y:%H:%M:%S %z", 0),
        ("Sun Sep 13 12:27:40 +0000 2020", "%a %b %d %H:%M:%S %z %Y", 0),
        ("Sun, 13 Sep 2020 12:27:40 GMT", "%a, %d %b %Y %H:%M:%S", 0),
        ("9/13/2020 12:27:40 PM", "%m/%d/%Y %I:%M:%S %p", 0),
    ],
)
def test_a_time_in_many_forms(text, unit, off_ms):
    clock = detect_clock([text])
    assert (clock.form, clock.parse(text)[0]) == (unit, MOMENT_MS + off_ms)


@given(seconds=st.integers(315_532_800, 4_102_444_799), power=st.sampled_from([0, 3, 6, 9]))
@seed(16)
@settings(max_examples=200, database=None)
def test_a_unit_since_1970_is_detected_by_its_size(seconds, power):
    moment = datetime.fromtimestamp(seconds, UTC)
    text = str(seconds * 10**power)
    clock = detect_clock([text, str((seconds // 86_400 * 86_400) * 10**power)])
    if clock.form != "yyyymmddhh":  # a second of 2033 to 2036 may look like one
        assert clock.parse(text)[0] == round(moment.timestamp()) * 1000


def test_serial_numbers_and_compact_dates_are_read_only_if_most_cells_have_that_form():
    clock = detect_clock(["1600000060", "1600000061", "44087.5"])
    with pytest.raises(ValueError, match=r"the time is '44087\.5'"):
        clock.parse("44087.5")


@given(days=st.lists(st.integers(0, 36_000), min_size=1, max_size=20))
@seed(16)
@settings(max_examples=50, database=None)
def test_dates_of_any_day(days):
    dates = [date(2000, 1, 1) + timedelta(days=day) for day in days]
    texts = [day.strftime("%Y%m%d") for day in dates]
    clock = detect_clock(texts)
    assert [clock.parse(text)[0] // 86_400_000 for text in texts] == [(day - date(1970, 1, 1)).days for day in dates]


def test_parquet(tmp_path):
    columns = {
        "user": pa.array([1, 2, None]),
        "item": pa.array(["a", "b", "c"]).dictionary_encode(),
        "at": pa.array([MOMENT, MOMENT, MOMENT], pa.timestamp("ns", "UTC")),
        "clicked": pa.array([True, False, True]),
        "tags": pa.array([["x", "y"], [], None]),
    }
    path = tmp_path / "x.log"
    parquet.write_table(pa.table(columns), path)
    log = read(path, parse_columns(f"{MAPPING},label=clicked", ("tags",)), warm_share=0.5)
    assert [(visit.user_id, visit.at_ms, bool(visit.feedback)) for visit in log.recording.visits] == [
        ("1", MOMENT_MS, True),
        ("2", MOMENT_MS, False),
    ]
    assert (log.faults, log.recording.items[0].category) == (["line 3: no user"], "x|y")
    assert inspect(path).proposal.map == f"{MAPPING},label=clicked"


def real_files():
    folder = Path(os.environ.get("HEADRACE_DATA", REPOSITORY / "../shared/data")) / "odd-logs"
    if not folder.exists():
        if "CI" in os.environ:
            pytest.fail(f"{folder} is missing; set HEADRACE_DATA")
        pytest.skip(f"{folder} is missing; set HEADRACE_DATA to the folder of recorded data")
    return [path.read_bytes() for path in sorted(folder.iterdir())]


PIECES = (b'"', b"\n", b"\r", b",", b"::", b"\t", b"\\", b"\xff", b"\0", b"\xe2\x80\xa8", b"1e999", b"-1", b"NULL", b"")


@given(data=st.data())
@seed(16)
@settings(IN_PLACE, max_examples=150)
def test_a_damaged_file_is_read_or_refused(tmp_path, data):
    raw = bytearray(data.draw(st.sampled_from(real_files()), label="file"))
    for _ in range(data.draw(st.integers(1, 6), label="edits")):
        at = data.draw(st.integers(0, len(raw)), label="at")
        length = data.draw(st.sampled_from([0, 1, 7, 300]), label="cut")
        raw[at : at + length] = data.draw(st.sampled_from(PIECES), label="piece")
    if data.draw(st.booleans(), label="gzipped"):
        raw = bytearray(gzip.compress(bytes(raw)))[: -data.draw(st.sampled_from([0, 0, 3]), label="short") or None]
    path = tmp_path / "x.csv"
    path.write_bytes(bytes(raw))
    for reading in (inspected, named, numbered):
        with suppress(UsageProblem):
            reading(path)


def inspected(path):
    found = inspect(path)
    assert "\n".join(found.log.lines).encode()
    assert msgspec.json.encode(found)


def named(path):
    read(path, parse_columns(MAPPING, ("title",)), warm_share=0.5)


def numbered(path):
    log = read(path, parse_columns("user=1,item=2,time=3", ("1",)), warm_share=0.5)
    assert log.rows == log.summary.read + sum(left.rows for left in log.summary.left_out)
