"""An import on a real broker: stopped anywhere it continues, and two of the same file never write at once."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.connections.kafka_clients import producer
from headrace.importing.events import EventRows
from headrace.importing.files import find_files
from headrace.importing.mapping import parse_mapping
from headrace.importing.run import FileImport, ImportCounts, import_file
from headrace.lang.planner.load import load_plan
from headrace.layout import FEATURES
from headrace.schemas.topics import EVENTS, prefixed
from headrace.stack import broker
from headrace.store.kafka.consumer_pace import ConsumerPace, Stalled
from headrace.store.kafka.lag import ConsumerGroup
from headrace.store.kafka.log import read_values
from headrace.store.kafka.resumable_writer import OutgoingRecord, ResumableWriter, Superseded

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]
ROWS, AT = 9_000, 1_790_000_000_000
POSITION = (EVENTS.name, 0)


class Interrupted(Exception):
    """The import is stopped by the test."""


@pytest.fixture(scope="module")
def bootstrap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with broker.running(tmp_path_factory.mktemp("broker")) as endpoints:
        yield endpoints.bootstrap


def clicks(folder: Path) -> FileImport:
    lines = (f"u{number % 50},i{number % 9},{AT + number}\n" for number in range(ROWS))
    (folder / "clicks.csv").write_text("user_id,item_id,occurred_at\n" + "".join(lines) + "u1,i1,never\n")
    (file,) = find_files([str(folder / "clicks.csv")])
    maker = EventRows(load_plan(FEATURES).for_events().sources[0])
    return FileImport(file, maker, parse_mapping("", ["event_type=click"]))


def run(bootstrap: str, folder: Path, *, stop_after: int) -> ImportCounts:
    """Import until a number of rows is written."""

    def before_each(rows: int) -> None:
        if rows >= stop_after:
            raise Interrupted

    counts = ImportCounts()
    writer = ResumableWriter(bootstrap, "import-test")
    try:
        import_file(
            clicks(folder),
            writer,
            counts,
            topic=EVENTS.name,
            refused_rows=folder / "refused.jsonl",
            before_each=before_each,
        )
    except Interrupted:
        pass
    finally:
        writer.close()
    return counts


def test_an_import_that_is_stopped_anywhere_writes_every_row_once(bootstrap: str, tmp_path: Path) -> None:
    assert run(bootstrap, tmp_path, stop_after=1).written == 2_000
    second = run(bootstrap, tmp_path, stop_after=5_000)
    assert (second.before, second.written) == (2_000, 4_000)
    third = run(bootstrap, tmp_path, stop_after=2 * ROWS)
    assert (third.before, third.written, dict(third.refused)) == (6_000, 3_000, {"time": 1})
    assert run(bootstrap, tmp_path, stop_after=2 * ROWS).written == 0
    times = sorted(json.loads(value)["occurred_at"] for value in read_values(bootstrap, EVENTS.name))
    assert times == [AT + number for number in range(ROWS)]
    (line,) = (tmp_path / "refused.jsonl").read_text().splitlines()
    assert json.loads(line)["values"]["occurred_at"] == "never"


def test_what_is_not_committed_leaves_neither_records_nor_a_position(bootstrap: str) -> None:
    writer = ResumableWriter(bootstrap, "import-broken")
    too_long = OutgoingRecord(topic=EVENTS.name, key=b"u", value=b"x" * 5_000_000)
    before = sum(1 for _ in read_values(bootstrap, EVENTS.name))
    with pytest.raises(Exception, match=r"MSG_SIZE_TOO_LARGE|too large"):
        writer.write([OutgoingRecord(topic=EVENTS.name, key=b"u", value=b"{}"), too_long], {POSITION: 2})
    assert writer.positions([POSITION]) == {}
    writer.write([OutgoingRecord(topic=EVENTS.name, key=b"u", value=b"{}")], {POSITION: 1})
    assert writer.positions([POSITION]) == {POSITION: 1}
    assert sum(1 for _ in read_values(bootstrap, EVENTS.name)) == before + 1


def test_a_second_import_of_the_same_file_stops_the_first(bootstrap: str) -> None:
    first, record = ResumableWriter(bootstrap, "import-twice"), OutgoingRecord(topic=EVENTS.name, key=b"u", value=b"{}")
    first.write([record], {POSITION: 1})
    second = ResumableWriter(bootstrap, "import-twice")
    with pytest.raises(Superseded, match="import-twice"):
        first.write([record], {POSITION: 2})
    assert second.positions([POSITION]) == {POSITION: 1}


def test_an_import_waits_for_its_readers_and_says_so_if_they_stand_still(
    bootstrap: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headrace.store.kafka.consumer_pace._STALLED_S", 2.0)
    client = producer(bootstrap)
    client.produce(EVENTS.name, b"{}", b"u")
    client.flush()
    groups = {"ingest": ConsumerGroup(prefixed("nobody"), EVENTS.name), "features": ConsumerGroup("none", EVENTS.name)}
    with pytest.raises(Stalled, match=r"ingest is \d+ records behind and has read nothing"):
        ConsumerPace(bootstrap, "ingest", groups, most_behind=0).wait()
    ConsumerPace(bootstrap, "ingest", groups, most_behind=1_000_000).wait()
