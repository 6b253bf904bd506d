"""`headrace explain` for slates of the last two days: several hundred versions later, as far back as the log reaches.

The log is made in seconds: the topics take append times from the producer, and what retention would have deleted is
deleted. A learner in this process makes the versions, whose snapshots are written and removed as its own process does.
"""

import functools
import re
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import msgspec
import pytest
from confluent_kafka import Message, TopicPartition
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.admin._resource import ResourceType
from msgspec import Struct, structs

from headrace.connections.kafka_clients import admin, producer
from headrace.errors import UsageProblem
from headrace.layout import STATE_VARIABLE, Endpoints, Layout
from headrace.learner.app import make_deterministic
from headrace.learner.loop import Learner
from headrace.learner.settings import LoopSettings
from headrace.learner.versions.cuts import Checkpoint, Publication
from headrace.learner.versions.snapshot import Snapshots
from headrace.log import explain
from headrace.log.slates import SlateLog
from headrace.models.ranker.config import RankerConfig
from headrace.models.ranker.state import ModelState
from headrace.schemas.defaults import LIVE_MODEL
from headrace.schemas.exposures import EXPOSURE, Exposure
from headrace.schemas.times import now_ms
from headrace.schemas.topics import CONTROL_TOPIC, EXPOSURES, MODEL_DELTAS, Topic
from headrace.schemas.versions.delta import seal
from headrace.schemas.versions.version_policy import parse_version, rollback_decision
from headrace.serving.stages import record
from headrace.serving.stages.pipeline import rank
from headrace.serving.state.query import Faults
from headrace.serving.telemetry.stopwatch import Stopwatch
from headrace.serving.versions.followed_model import FollowedModel
from headrace.serving.versions.model_at import VersionGone, model_at
from headrace.simulator.sample_stream import stream
from headrace.stack import broker
from headrace.store.kafka.log import LogReader, offsets_at
from headrace.store.location import parse_location
from headrace.store.snapshot_files import snapshots_of
from headrace.timestamps import parse_time
from tests.support import serving_states as worlds

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]
HOUR_MS = 3_600_000
HOURS, EVERY_MS = 50, 30_000  # of the log; between two samples
SETTINGS = LoopSettings(cadence_ms=360_000, snapshot_ms=3_600_000, wait_ms=20_000)
GONE, SAVED, LAST_OF_EPOCH = "gone", "saved", "last of its epoch"  # SAVED: of a version with a snapshot
SPOOLED, NEXT = "spooled", "next"  # slates of the user of `day`, one and two minutes after it
HOURS_AGO = {
    GONE: 48.5,
    SAVED: 30.0,
    "day": 24.5,
    LAST_OF_EPOCH: 24.2,
    "after a rollback": 23.5,
    SPOOLED: 1.5,  # appended then
    "fresh": 0.5,
}
OTHERS = 8  # slates of other users, with each version

Headers: TypeAlias = tuple[tuple[str, bytes], ...]


class Old(Struct, kw_only=True):
    """A stack with two days of versions and slates, up to `end_ms`: slates by name, and how many versions were made."""

    layout: Layout
    endpoints: Endpoints
    slates: dict[str, Exposure]
    versions: int
    end_ms: int


class Log:
    """Writes records with append times of their own, as if the past had been written then."""

    def __init__(self, endpoints: Endpoints) -> None:
        self._bootstrap = endpoints.bootstrap
        self._admin, self._producer = admin(endpoints.bootstrap), producer(endpoints.bootstrap)
        self._key = endpoints.model_key.encode()

    def take_times_from_producers(self, *topics: Topic) -> None:
        entry = functools.partial(ConfigEntry, "message.timestamp.type", "CreateTime")
        changes = [
            ConfigResource(
                ResourceType.TOPIC,
                topic.name,
                incremental_configs=[entry(incremental_operation=AlterConfigOpType.SET)],
            )
            for topic in topics
        ]
        for future in self._admin.incremental_alter_configs(changes).values():
            future.result()

    def write(self, topic: Topic, key: str, value: bytes, *, at_ms: int, headers: Headers = ()) -> None:
        partition = 0 if topic.partitions == 1 else -1
        self._producer.produce(topic.name, value, key, partition, timestamp=at_ms, headers=list(headers))
        self._producer.poll(0)

    def write_version(self, publication: Publication, *, at_ms: int) -> None:
        message, _ = seal(structs.replace(publication.manifest, created_at=at_ms), key=self._key)
        for payload in (*publication.chunks, message):
            self.write(MODEL_DELTAS, LIVE_MODEL, payload, at_ms=at_ms)

    def write_slate(self, exposure: Exposure, *, at_ms: int) -> None:
        self.write(EXPOSURES, exposure.request_id, exposure.payload(), at_ms=at_ms, headers=exposure.headers())

    def write_others(self, exposure: Exposure) -> None:
        for number in range(OTHERS):
            name = f"other-{exposure.received_at}-{number}"
            self.write_slate(structs.replace(exposure, request_id=name), at_ms=exposure.received_at)

    def roll_back(self, seq: int, *, at_ms: int) -> None:
        decision = structs.replace(rollback_decision(LIVE_MODEL, (1, seq), epoch=2), at=at_ms, who="test")
        self.write(CONTROL_TOPIC, decision.name, decision.payload(), at_ms=at_ms)

    def flush(self) -> None:
        assert self._producer.flush(60) == 0

    def delete_before(self, topic: Topic, at_ms: int) -> None:
        """As retention does, which the broker applies only every five minutes."""
        found = offsets_at(self._bootstrap, topic.name, at_ms)
        begins = [TopicPartition(topic.name, partition, offset) for partition, offset in found.items()]
        for future in self._admin.delete_records(begins).values():
            future.result()


def slate(name: str, user: str, model: ModelState, *, at_ms: int) -> Exposure:
    """A slate that this model ranked."""
    live = world()
    live.promote("live", model, applied_at=at_ms)
    query = worlds.query(7, request_id=name, user_id=user, at_ms=at_ms, user=worlds.user(["i1", "i7"], ["i3"]))
    ranked, _ = rank(query, live.state, Faults(), Stopwatch())
    sent = record.exposure(query, ranked, made_with=record.versions(ranked), level=0, served_at=at_ms)
    return msgspec.convert(EXPOSURE.decode(sent.value or b""), Exposure)


def later(exposure: Exposure, name: str, minutes: int) -> Exposure:
    """The same slate under another name, served later."""
    return structs.replace(exposure, request_id=name, received_at=exposure.received_at + minutes * 60_000)


@functools.cache
def world() -> worlds.Live:
    return worlds.live(count=60, categories=5, with_model=False)


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Old]:
    home = tmp_path_factory.mktemp("old")
    layout = Layout(home / "stack")
    layout.artefacts.mkdir(parents=True)
    with broker.running(home / "broker") as endpoints:
        layout.endpoints_file.write_bytes(msgspec.json.encode(endpoints))
        yield written(layout, endpoints)


def written(layout: Layout, endpoints: Endpoints) -> Old:
    """Write two days of versions and slates, with a rollback a day ago."""
    make_deterministic()
    end_ms = now_ms() // SETTINGS.snapshot_ms * SETTINGS.snapshot_ms
    log, learner = Log(endpoints), Learner(SETTINGS, RankerConfig())
    log.take_times_from_producers(MODEL_DELTAS, EXPOSURES)
    snapshots = Snapshots(snapshots_of(layout.snapshots, LIVE_MODEL))
    slates, versions = dict[str, Exposure](), 0
    due = {name: end_ms - round(hours * HOUR_MS) for name, hours in HOURS_AGO.items()}
    samples = stream(HOURS * HOUR_MS // EVERY_MS, every_ms=EVERY_MS, begin_ms=end_ms - HOURS * HOUR_MS)
    for cut in learner.feed(enumerate(samples)):
        at_ms, is_saved = learner.clock_ms, isinstance(cut, Checkpoint)
        if isinstance(cut, Checkpoint):
            snapshots.save(cut)
        elif isinstance(cut, Publication):
            versions += 1
            log.write_version(cut, at_ms=at_ms)
            log.write_others(slate("other", "other", learner.published, at_ms=at_ms))
        for name in [name for name, due_ms in due.items() if due_ms <= at_ms and is_saved == (name == SAVED)]:
            del due[name]
            if name == SPOOLED:
                log.write_slate(slates[name], at_ms=at_ms)
                continue
            slates[name] = slate(name, f"user of {name}", learner.published, at_ms=at_ms + 1_000)
            log.write_slate(slates[name], at_ms=at_ms + 1_010)
            if name == "day":
                slates |= {each: later(slates[name], each, minutes) for minutes, each in ((1, SPOOLED), (2, NEXT))}
                log.write_slate(slates[NEXT], at_ms=slates[NEXT].received_at)
            if name == LAST_OF_EPOCH:
                log.roll_back(learner.seq - 20, at_ms=at_ms + 500)  # read by the worker only after that slate
                log.write_version(learner.begin_epoch(2), at_ms=at_ms + 2_000)
                snapshots.save(learner.checkpoint())
    log.flush()
    log.delete_before(MODEL_DELTAS, end_ms - MODEL_DELTAS.retention_ms)
    return Old(layout=layout, endpoints=endpoints, slates=slates, versions=versions, end_ms=end_ms)


@pytest.fixture
def explained(old: Old, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run the command on that stack; returns what it prints."""
    monkeypatch.setenv(STATE_VARIABLE, str(old.layout.home))

    def run(request_id: str = "", **arguments: str) -> str:
        assert explain.explain(request_id, **arguments) == 0
        return capsys.readouterr().out

    return run


@pytest.fixture
def records_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many records each read of any log has brought."""
    counts, read = list[int](), LogReader.read

    def counting(log: LogReader, timeout_s: float, *, count: int = 1000) -> list[Message]:
        records = read(log, timeout_s, count=count)
        counts.append(len(records))
        return records

    monkeypatch.setattr(LogReader, "read", counting)
    return counts


def of(old: Old) -> tuple[str, FollowedModel]:
    """The broker, and the model whose versions are on it."""
    key, snapshots = old.endpoints.model_key.encode(), snapshots_of(old.layout.snapshots, LIVE_MODEL)
    return old.endpoints.bootstrap, FollowedModel(name=LIVE_MODEL, key=key, snapshots=snapshots)


@pytest.mark.parametrize("name", [name for name in HOURS_AGO if name != GONE])
def test_a_slate_is_scored_again_bit_for_bit_however_many_versions_follow(
    old: Old, explained: Callable[..., str], name: str
) -> None:
    exposure = old.slates[name]
    for out in (explained(name), explained(user=exposure.user_id, at=str(exposure.received_at))):
        assert f"request  {name}, served" in out
        for score in ("click", "score"):
            assert f"{score} scored again by version {exposure.model_version}: 10 of 10 bit-equal" in out


def test_no_more_is_read_than_from_the_snapshot_to_the_version(
    old: Old, explained: Callable[..., str], records_read: list[int]
) -> None:
    """A version is two records, and of the slates a partition has a quarter."""
    versions, slates = 2 * old.versions, OTHERS * old.versions
    day = old.slates["day"]
    assert model_at(*of(old), day.model_version, served_at=day.received_at).version == day.model_version
    assert 0 < sum(records_read) < versions / 2
    records_read.clear()
    log = SlateLog(old.endpoints.bootstrap)
    assert log.find("fresh") == old.slates["fresh"]
    assert 0 < sum(records_read) < slates / 4 / 4
    records_read.clear()
    assert log.find("day") == old.slates["day"]
    assert sum(records_read) < slates / 4
    records_read.clear()
    assert log.find_last(old.slates["fresh"].user_id, now_ms()) == old.slates["fresh"]
    assert sum(records_read) < slates / 4


def test_what_retention_has_deleted_is_named_with_what_is_left(old: Old, explained: Callable[..., str]) -> None:
    """The score needs the version, the rest of the explanation does not."""
    exposure = old.slates[GONE]
    out = explained(GONE)
    assert (
        f"not scored again: version {exposure.model_version} of {LIVE_MODEL} is gone: topic model.deltas begins" in out
    )
    appended = re.search(r"begins with version 1\.(\d+), appended (\S+ \S+) UTC", out)
    assert appended
    assert int(appended[1]) > parse_version(exposure.model_version)[1]
    kept_ms = old.end_ms - parse_time(appended[2])
    assert 0 <= MODEL_DELTAS.retention_ms - kept_ms < SETTINGS.cadence_ms + 1_000  # it shows whole seconds
    assert "the newest snapshot up to it is 1." in out
    assert "The topic keeps 2 days" in out
    assert f"user of {GONE}" in out


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"key": b"another"}, "is not signed with this key"),
        ({"config": RankerConfig(dim=8)}, "has schema"),
        ({"snapshots": parse_location("/nowhere")}, r"is gone: .* and no snapshot is as old"),
    ],
)
def test_what_else_keeps_a_version_from_being_rebuilt_is_said(old: Old, changes: dict[str, Any], says: str) -> None:
    bootstrap, followed = of(old)
    day = old.slates["day"]
    with pytest.raises(VersionGone, match=says):
        model_at(bootstrap, structs.replace(followed, **changes), day.model_version, served_at=day.received_at)


def test_a_slate_that_was_spooled_is_the_last_one_although_it_is_on_the_log_later(old: Old) -> None:
    """It is appended hours after it was served, when Kafka was back; a slate served after it was appended before it."""
    day, spooled, following = (old.slates[name] for name in ("day", SPOOLED, NEXT))
    slates = SlateLog(old.endpoints.bootstrap)
    for exposure in (day, spooled, following):
        assert slates.find_last(day.user_id, exposure.received_at) == exposure
    assert slates.find_last(day.user_id, now_ms()) == following
    assert slates.find_last(day.user_id, day.received_at - 1) is None


def test_a_slate_that_the_log_never_had_is_said(explained: Callable[..., str]) -> None:
    with pytest.raises(UsageProblem, match="has no slate of request 'r-unknown'"):
        explained("r-unknown")
