"""`headrace replay --topic`: the records of a topic between two times once more, into a topic next to the live one.

Records keep key, partition, headers and order within their partition. A raw event that has no `received_at` gets the
time at which it was first appended, so ingest decides on it as it did then.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from hashlib import blake2b
from itertools import islice
from typing import Protocol

import msgspec
from msgspec import Struct, field

from headrace.archive.files import Gap
from headrace.archive.read import ArchiveRange, LogRecord
from headrace.errors import UsageProblem
from headrace.lang.plan.clean_topic import clean_topic
from headrace.lang.planner.load import load_plan
from headrace.layout import FEATURES
from headrace.log.received_at import with_received_at
from headrace.log.topics import create_topics
from headrace.replay.topic_range import TopicRange
from headrace.schemas.topics import EVENTS, TOPICS, Topic, short_name
from headrace.store.kafka.log import bounds
from headrace.store.kafka.resumable_writer import RECORDS, OutgoingRecord, ResumableWriter
from headrace.store.location import parse_location
from headrace.timestamps import utc


class RecordRange(Protocol):
    """Records of a topic between two times: a `TopicRange` or an `ArchiveRange`."""

    partitions: int

    @property
    def missing(self) -> list[Gap]:
        """Offsets within the range that could not be found."""
        ...

    def read(self, done: Mapping[int, int]) -> Iterator[LogRecord]:
        """The records, without those before an offset of their partition."""
        ...


class ReplayRequest(Struct, frozen=True, kw_only=True):
    """What to read again, and where to.

    Attributes:
        to_ms: None for all that is there when the replay begins.
        archive: an archive's location; empty for the log itself.
        into: the topic to write.
        raw: whether the records are events as clients sent them.
        per_s: records per second at most; 0 for no limit.
    """

    topic: str
    from_ms: int
    to_ms: int | None
    into: str
    archive: str = ""
    raw: bool = False
    per_s: float = 0.0

    @property
    def name(self) -> str:
        """The name under which the replay is resumed: equal requests continue each other."""
        asked = f"{self.topic} {self.from_ms} {self.to_ms} {self.archive}"
        return f"replay-{self.into}-{blake2b(asked.encode(), digest_size=6).hexdigest()}"


class Coverage(Struct, kw_only=True):
    """What a replay has written: records by partition, those of an earlier run, the times, and what was missing.

    `late_begin` says why the first part of the range may be missing, empty if it is not.
    """

    records: Counter[int] = field(default_factory=Counter[int])
    resumed: int = 0
    first_ms: int | None = None
    last_ms: int | None = None
    missing: list[Gap] = field(default_factory=list[Gap])
    late_begin: str = ""

    def lines(self) -> Iterator[str]:
        """Text for people."""
        split = ", ".join(f"{count} in partition {number}" for number, count in sorted(self.records.items()))
        yield f"{self.records.total()} records{f': {split}' if split else ''}"
        if self.resumed:
            yield f"continued an earlier run in {self.resumed} partitions; this run wrote the rest"
        if self.first_ms is not None and self.last_ms is not None:
            yield f"appended from {utc(self.first_ms)} to {utc(self.last_ms)} (UTC)"
        if self.late_begin:
            yield self.late_begin
        yield from (f"missing: {gap}" for gap in self.missing)


def open_range(bootstrap: str, request: ReplayRequest) -> tuple[RecordRange, str]:
    """The records to read, and why the first of them may be missing.

    Raises:
        UsageProblem: there is no such topic or archive.
    """
    if not request.archive:
        log = TopicRange(bootstrap, request.topic, from_ms=request.from_ms, to_ms=request.to_ms)
        early = "the log begins within this range: earlier records may have passed their retention (see --archive)"
        return log, early if log.cut_short and request.from_ms else ""
    location, topic = parse_location(request.archive), short_name(request.topic)
    archived = ArchiveRange(location, topic, from_ms=request.from_ms, to_ms=request.to_ms)
    early = f"the archive begins at {utc(archived.begins_ms)} (UTC)"
    return archived, early if request.from_ms and archived.begins_ms > request.from_ms else ""


def replay_topic(bootstrap: str, request: ReplayRequest, *, on_progress: Callable[[int], None]) -> Coverage:
    """Write the records, from where an equal request ended.

    Args:
        bootstrap: the brokers.
        request: the range and the target.
        on_progress: called with the number of records written so far.

    Raises:
        UsageProblem: the range or the target is not valid.
        Superseded: the same replay runs elsewhere. KafkaException: the broker does not answer.
    """
    if request.to_ms is not None and request.to_ms <= request.from_ms:
        message = f"--to is {utc(request.to_ms)}, and --from {utc(request.from_ms)}: give a later end"
        raise UsageProblem(message)
    found, late_begin = open_range(bootstrap, request)
    with closing(ResumableWriter(bootstrap, request.name)) as writer:
        done = _prepare_target(bootstrap, request, writer, partitions=found.partitions)
        coverage = Coverage(resumed=len(done), missing=found.missing, late_begin=late_begin)
        begun_s = time.monotonic()
        for written in _copy(found.read(done), request, writer, coverage):
            on_progress(written)
            if request.per_s and (early_s := begun_s + written / request.per_s - time.monotonic()) > 0:
                time.sleep(early_s)
    return coverage


def _copy(
    records: Iterator[LogRecord], request: ReplayRequest, writer: ResumableWriter, coverage: Coverage
) -> Iterator[int]:
    """Write the records; yields the number written after each transaction."""
    while batch := list(islice(records, RECORDS)):
        ends = {(request.into, record.partition): record.offset + 1 for record in batch}
        writer.write((_outgoing(record, request) for record in batch), ends)
        for record in batch:
            coverage.records[record.partition] += 1
        times = [record.appended_ms for record in batch]
        coverage.first_ms = min(times) if coverage.first_ms is None else min(coverage.first_ms, *times)
        coverage.last_ms = max(times) if coverage.last_ms is None else max(coverage.last_ms, *times)
        yield coverage.records.total()


def _prepare_target(
    bootstrap: str, request: ReplayRequest, writer: ResumableWriter, *, partitions: int
) -> dict[int, int]:
    """Create the topic if it does not exist; returns the offsets that an earlier run has reached, by partition.

    Raises:
        UsageProblem: it is the topic that is read, or has fewer partitions.
    """
    present = bounds(bootstrap, request.into)
    if not present:
        create_topics(bootstrap, [_target(request, partitions)])
        return {}
    done = {number: at for (_, number), at in writer.positions(present).items()}
    has_records = any(end for _, end in present.values())
    if request.into == request.topic and (not request.archive or (has_records and not done)):
        message = (
            f"--into is {request.into}, the topic itself: its readers would count every record twice; name another "
            "topic, or an archive and a topic that has never held a record"
        )
        raise UsageProblem(message)
    if request.into != request.topic and request.into in used_topics():
        message = (
            f"--into is {request.into}, which jobs of this environment read: records of {request.topic} would stop or "
            "mislead them; name a topic that only the replay writes"
        )
        raise UsageProblem(message)
    # empty partitions leave no file in an archive, so its topic may have had more
    if len(present) < partitions or (len(present) > partitions and not request.archive):
        message = (
            f"{request.into} has {len(present)} partitions and {request.topic} {partitions}: the order within a "
            "partition would be lost; name a topic that does not exist yet, or one with as many"
        )
        raise UsageProblem(message)
    return done


def used_topics() -> set[str]:
    """The topics that the processes of this environment read and write."""
    plan = load_plan(FEATURES)
    streams = {name for source in plan.sources for name in (source.topic, clean_topic(source))}
    features = {topic for group in plan.groups for topic in (group.tile_topic, group.sequence_topic)}
    return streams | features | {topic.name for topic in TOPICS}


def _target(request: ReplayRequest, partitions: int) -> Topic:
    """The topic to create: as declared, if it is a topic of this environment, else like the one that is read."""
    declared = {topic.name: topic for topic in TOPICS}
    if request.into in declared:
        return declared[request.into]
    count = max(partitions, declared.get(request.topic, EVENTS).partitions) if request.archive else partitions
    return msgspec.structs.replace(EVENTS, name=request.into, partitions=count, written_by="replay")


def _outgoing(record: LogRecord, request: ReplayRequest) -> OutgoingRecord:
    value = with_received_at(record.value, record.appended_ms) if request.raw else record.value
    return OutgoingRecord(
        topic=request.into, key=record.key, value=value, partition=record.partition, headers=record.headers
    )
