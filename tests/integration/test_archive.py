"""Topics to Parquet and back on a real broker: to the byte, by hour, each run from where the one before ended."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer

from headrace.archive import write
from headrace.archive.files import HOUR_MS, gaps, list_archive
from headrace.archive.read import ArchiveRange
from headrace.archive.write import Archived, archive_topic
from headrace.connections.kafka_clients import producer
from headrace.errors import UsageProblem
from headrace.replay.topic_replay import Coverage, ReplayRequest, replay_topic
from headrace.schemas.times import now_ms
from headrace.schemas.topics import EVENTS, EXPOSURES
from headrace.stack import broker
from headrace.store.kafka.log import read_to_end
from headrace.store.location import Location, parse_location

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]
Content = list[tuple[int | None, bytes | None, bytes | None, object]]


@pytest.fixture
def bootstrap(tmp_path: Path) -> Iterator[str]:
    with broker.running(tmp_path / "broker") as endpoints:
        yield endpoints.bootstrap


def append(bootstrap: str, topic: str, numbers: range, *, leave: bool = False) -> None:
    """Append records in one transaction; with `leave` it is given up."""
    client: Producer = producer(bootstrap, {"transactional.id": "test"})
    client.init_transactions(30)
    client.begin_transaction()
    for number in numbers:
        value = None if number % 10 == 9 else b"%d" % number
        client.produce(topic, value, b"k%d" % (number % 7), headers=[("received_at", b"%d" % number), ("empty", None)])
    client.abort_transaction(30) if leave else client.commit_transaction(30)


def content(bootstrap: str, topic: str) -> Content:
    return [(each.partition(), each.key(), each.value(), each.headers()) for each in read_to_end(bootstrap, topic)]


def replay(bootstrap: str, location: Location, into: str, *, topic: str = EXPOSURES.name) -> Coverage:
    request = ReplayRequest(topic=topic, from_ms=0, to_ms=None, archive=location.text, into=into)
    return replay_topic(bootstrap, request, on_progress=lambda _: None)


def test_what_is_archived_comes_back_to_the_byte(
    bootstrap: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write, "ROWS", 100)
    location, topic = parse_location(str(tmp_path / "archive")), EXPOSURES.name
    append(bootstrap, topic, range(1000))
    assert archive_topic(bootstrap, topic, location).rows == 1000
    assert archive_topic(bootstrap, topic, location) == Archived(0, 0, [])
    append(bootstrap, topic, range(50), leave=True)
    append(bootstrap, topic, range(1000, 1500))
    (tmp_path / "archive" / topic / ".0-1-2.parquet.x.tmp").write_bytes(b"a run that was killed")
    assert archive_topic(bootstrap, topic, location).rows == 500

    files = list_archive(location, topic)
    assert gaps(files) == []
    assert all(file.next - file.first >= 1 and file.hour_ms % HOUR_MS == 0 for file in files)
    coverage = replay(bootstrap, location, "copy")
    assert coverage.records.total() == 1500
    assert content(bootstrap, "copy") == content(bootstrap, topic)
    assert replay(bootstrap, location, "copy").records.total() == 0, "it is there already"


def test_a_missing_file_is_reported_and_its_neighbours_are_replayed(
    bootstrap: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write, "ROWS", 50)
    location, topic = parse_location(str(tmp_path / "archive")), EXPOSURES.name
    append(bootstrap, topic, range(900))
    archive_topic(bootstrap, topic, location)
    files = list_archive(location, topic)
    lost = next(b for a, b, c in zip(files, files[1:], files[2:], strict=False) if a.partition == c.partition)
    (tmp_path / "archive" / topic / lost.name).unlink()
    coverage = replay(bootstrap, location, "copy")
    (gap,) = coverage.missing
    assert (gap.partition, gap.first, gap.next) == (lost.partition, lost.first, lost.next)
    assert f"missing: partition {lost.partition}, offsets {lost.first}" in "\n".join(coverage.lines())
    assert coverage.records.total() < 900


def test_what_two_runs_wrote_at_once_is_read_once(bootstrap: str, tmp_path: Path) -> None:
    location, topic = parse_location(str(tmp_path / "archive")), EXPOSURES.name
    append(bootstrap, topic, range(300))
    archive_topic(bootstrap, topic, location)
    append(bootstrap, topic, range(300, 900))
    archive_topic(bootstrap, topic, location)
    archive_topic(bootstrap, topic, parse_location(str(tmp_path / "second")))
    for file in (tmp_path / "second" / topic).rglob("*.parquet"):
        target = tmp_path / "archive" / topic / file.relative_to(tmp_path / "second" / topic)
        target.parent.mkdir(parents=True, exist_ok=True)
        file.rename(target)
    assert replay(bootstrap, location, "copy").records.total() == 900


def test_an_archive_of_another_log_is_not_continued(bootstrap: str, tmp_path: Path) -> None:
    location, topic = parse_location(str(tmp_path / "archive")), EXPOSURES.name
    append(bootstrap, topic, range(100))
    archive_topic(bootstrap, topic, location)
    with broker.running(tmp_path / "other") as other:
        append(other.bootstrap, topic, range(3))
        with pytest.raises(UsageProblem, match="name a new folder"):
            archive_topic(other.bootstrap, topic, location)


def test_a_file_that_is_none_of_the_archive_is_named(tmp_path: Path) -> None:
    (tmp_path / "events").mkdir()
    (tmp_path / "events" / "mine.parquet").write_bytes(b"")
    with pytest.raises(UsageProblem, match=r"events/mine.parquet is not a file of an archive"):
        list_archive(parse_location(str(tmp_path)), "events")
    with pytest.raises(UsageProblem, match="has no files of topic items"):
        ArchiveRange(parse_location(str(tmp_path)), "items", from_ms=0, to_ms=now_ms())


def test_an_archive_is_restored_to_an_empty_topic_of_its_name_only(bootstrap: str, tmp_path: Path) -> None:
    location, topic = parse_location(str(tmp_path / "archive")), EVENTS.name
    append(bootstrap, topic, range(100))
    archive_topic(bootstrap, topic, location)
    with pytest.raises(UsageProblem, match="would count every record twice"):
        replay(bootstrap, location, topic, topic=topic)
    with broker.running(tmp_path / "other") as other:
        assert content(other.bootstrap, topic) == [], "the broker leads its topics now"
        assert replay(other.bootstrap, location, topic, topic=topic).records.total() == 100
        assert content(other.bootstrap, topic) == content(bootstrap, topic)
