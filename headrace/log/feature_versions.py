"""The life cycle of a feature version on a running stack: apply, fill from the log, promote, roll back, retire.

Every step is a record on topic `control` (store/versions.py), which reconciler, loader and serving follow.
"""

import shutil
from collections.abc import Iterable
from typing import cast

import msgspec

from headrace.connections.kafka_clients import producer
from headrace.connections.redis_clients import connect
from headrace.errors import EnvironmentProblem, UsageProblem
from headrace.lang.plan.plan import Group, Plan
from headrace.lang.plan.source import Source
from headrace.layout import Endpoints, Layout
from headrace.log.topics import create_topics, remove_topics
from headrace.schemas.control import Control
from headrace.schemas.redis_keys import sequence_key, tiles_key
from headrace.schemas.times import now_ms
from headrace.schemas.topics import CONTROL_TOPIC, EVENTS, Topic, sequence_topic, stream_topics, tile_topic
from headrace.store import versions as names
from headrace.store.versions import LiveState, Version, Versions, read_versions

SHARED_JOB = "features"


def feature_topics(groups: tuple[Group, ...]) -> tuple[Topic, ...]:
    """The topics of the groups' tiles and sequences, each of this version only."""
    tiles = [tile_topic(g.name, g.version, retain_ms=g.retain_ms) for g in groups if g.families]
    sequences = [sequence_topic(g.name, g.version, retain_ms=g.retain_ms) for g in groups if g.sequences]
    return (*tiles, *sequences)


def stream_topics_of(groups: tuple[Group, ...]) -> tuple[Topic, ...]:
    """The topics of the streams that the groups need, except the clickstream's."""
    streams = {stream.topic: stream for group in groups for stream in group.source.streams}
    others = (stream for name, stream in streams.items() if name != EVENTS.name)
    return tuple(topic for each in others for topic in stream_topics(each.topic, retain_ms=each.retain_ms))


def shared_job(source: Source) -> str:
    """Name of the job of all groups of a source that existed at the first start."""
    return SHARED_JOB if source.topic == EVENTS.name else f"{SHARED_JOB}-{source.name}"


def own_job(group: Group, from_ms: int | str) -> str:
    """Name of the job of a version applied to a running stack; it differs for each point of the log to read from."""
    return f"{SHARED_JOB}-{group.name}-v{group.version}-from-{from_ms}"


def seed(endpoints: Endpoints, plan: Plan, *, who: str = "up") -> None:
    """On a log without versions, apply and promote every group of a plan; then create missing topics."""
    registry = Registry(endpoints, who=who)
    versions = registry.versions()
    if not versions.applied:
        registry.seed(plan.groups)
    groups = versions.groups() or plan.groups
    create_topics(endpoints.bootstrap, (*stream_topics_of(groups), *feature_topics(groups)))


class Registry:
    """Writes decisions about the feature versions of one stack."""

    def __init__(self, endpoints: Endpoints, *, who: str) -> None:
        self._bootstrap = endpoints.bootstrap
        self._who = who
        self._producer = producer(endpoints.bootstrap)

    def versions(self) -> Versions:
        """The fold of all decisions so far.

        Raises:
            EnvironmentProblem: the topic could not be read.
        """
        try:
            return read_versions(self._bootstrap)
        except TimeoutError as error:
            message = f"{error}. Look at kafka.log."
            raise EnvironmentProblem(message) from error

    def seed(self, groups: Iterable[Group]) -> None:
        """Apply and promote these groups; groups of the same source share a job."""
        for group in groups:
            self._apply(group, job=shared_job(group.source), from_ms=0, why="first start")
            self._set_live(group.name, names.PROMOTE, group.version, why="first start")
        self._flush()

    def apply(self, group: Group, *, from_ms: int, why: str) -> Version:
        """Start a version next to the live one, reading from an append time; `fill` adds older events later."""
        create_topics(self._bootstrap, (*stream_topics_of((group,)), *feature_topics((group,))))
        return self.fill(group, from_ms=from_ms, why=why)

    def fill(self, group: Group, *, from_ms: int, why: str) -> Version:
        """Start the version's own job, reading the log from an append time."""
        version = Version(group=group, job=own_job(group, from_ms), from_ms=from_ms)
        self._apply(group, job=version.job, from_ms=from_ms, why=why)
        self._flush()
        return version

    def update_metadata(self, version: Version, group: Group, *, why: str) -> None:
        """Replace a version's metadata, such as its description; its job continues unchanged."""
        self._apply(group, job=version.job, from_ms=version.from_ms, why=why)
        self._flush()

    def promote(self, version: Version, *, previous: int, why: str) -> LiveState:
        """Make a version live; `previous` is the live one now, 0 for none."""
        return self._decide(version.group.name, names.PROMOTE, LiveState(version.group.version, previous), why=why)

    def rollback(self, name: str, *, why: str) -> LiveState:
        """Make the previous live version live again.

        Raises:
            UsageProblem: there is none, or it has been retired.
        """
        versions = self.versions()
        now = versions.live.get(name, LiveState(0))
        if f"{name}@{now.previous}" not in versions.applied:
            message = f"{name}@{now.version} is live, and no version that was live before it is kept"
            raise UsageProblem(message)
        return self._decide(name, names.ROLLBACK, LiveState(now.previous, now.version), why=why)

    def retire(self, version: Version, *, why: str) -> None:
        """Retire a version; the reconciler stops its job."""
        self._write(f"{names.GROUP}{version.name}", names.RETIRE, {}, why)
        self._flush()

    def _decide(self, name: str, action: str, live: LiveState, *, why: str) -> LiveState:
        self._set_live(name, action, live.version, why=why)
        self._flush()
        return live

    def _apply(self, group: Group, *, job: str, from_ms: int, why: str) -> None:
        arguments = {"plan": msgspec.json.encode(group).decode(), "job": job, "from_ms": str(from_ms)}
        self._write(f"{names.GROUP}{group.title}", names.APPLY, arguments, why)

    def _set_live(self, name: str, action: str, version: int, *, why: str) -> None:
        self._write(f"{names.LIVE}{name}", action, {"version": str(version)}, why)

    def _write(self, name: str, action: str, arguments: dict[str, str], why: str) -> None:
        at = now_ms()
        record = Control(name=name, action=action, arguments=arguments, who=self._who, at=at, why=why)
        self._producer.produce(CONTROL_TOPIC.name, record.payload(), name)

    def _flush(self) -> None:
        if left := self._producer.flush(20):
            message = f"{left} records of topic {CONTROL_TOPIC.name} were not accepted within 20 s. Look at kafka.log."
            raise EnvironmentProblem(message)


def remove_data(layout: Layout, endpoints: Endpoints, version: Version) -> tuple[int, int]:
    """Remove a retired version's topics, keys and checkpoints; returns the number of topics and of keys."""
    present = remove_topics(endpoints.bootstrap, [topic.name for topic in feature_topics((version.group,))])
    client, keys = connect(endpoints.redis_url), 0
    name, number = version.group.name, version.group.version
    for pattern in (tiles_key(name, number, "*"), sequence_key(name, number, "*", "*")):
        for key in client.scan_iter(match=pattern, count=1000):
            keys += cast(int, client.unlink(key))
    for folder in layout.checkpoints.glob(own_job(version.group, "*")):
        shutil.rmtree(folder, ignore_errors=True)
    return len(present), keys
