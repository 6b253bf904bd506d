"""Which versions of feature groups exist, which job computes each, and which is live: a fold of topic `control`.

A record `group/<group>@<version>` declares a version and carries its plan; `live/<group>` sets which one is live.
"""

import re
import sys
import time
from collections.abc import Iterable, Mapping
from types import MappingProxyType

import msgspec
from msgspec import Struct

from headrace.lang.plan.plan import Group
from headrace.lang.plan.source import Source
from headrace.schemas.control import Control, control_of
from headrace.schemas.times import PLAUSIBLE_MS
from headrace.schemas.topics import CONTROL_TOPIC
from headrace.store.kafka.log import LogReader
from headrace.store.redis.decode import SequenceDecoder, TileDecoder, entity_of
from headrace.store.redis.writer import retention_of

GROUP, LIVE = "group/", "live/"
APPLY, RETIRE, PROMOTE, ROLLBACK = "apply", "retire", "promote", "rollback"
_READ_S, _POLL_S = 20.0, 0.05
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")
_NOTHING: Mapping[str, "Version"] = MappingProxyType({})
_NONE: Mapping[str, "LiveState"] = MappingProxyType({})


class Version(Struct, frozen=True, kw_only=True):
    """One version of a group.

    Attributes:
        job: the Flink job that computes it, alone or with others.
        from_ms: the append time from which that job reads `events.clean`; 0 reads everything.
    """

    group: Group
    job: str
    from_ms: int = 0

    @property
    def name(self) -> str:
        """`group@version`."""
        return self.group.title


class LiveState(Struct, frozen=True):
    """The live version of a group, and the one that was live before it; 0 for none."""

    version: int
    previous: int = 0


class Versions(Struct, frozen=True):
    """The fold: versions by `group@version`, live ones by group. Immutable; `apply` returns a new one.

    Decisions apply in the order of the log. One that cannot apply (retire a live version, promote a missing version
    or one that is live already) changes nothing. `ended`: jobs that were needed once and no longer are.
    """

    applied: Mapping[str, Version] = _NOTHING
    live: Mapping[str, LiveState] = _NONE
    retired: Mapping[str, Version] = _NOTHING
    ended: frozenset[str] = frozenset()

    def apply(self, record: Control) -> "Versions":
        """The fold after one more record. A record about anything else changes nothing.

        Raises:
            LookupError, ValueError: the record lacks an argument, or its plan is not one of this software.
        """
        if record.name.startswith(GROUP) and record.action == APPLY:
            group = _decode_plan(record.arguments["plan"])
            from_ms = int(record.arguments.get("from_ms", "0"))
            version = Version(group=group, job=record.arguments["job"], from_ms=from_ms)
            retired = {name: each for name, each in self.retired.items() if name != version.name}
            return self._with({**self.applied, version.name: version}, retired)
        if record.name.startswith(GROUP) and record.action == RETIRE:
            name = record.name.removeprefix(GROUP)
            version = self.applied.get(name)
            if version is None or self.is_live(version.group):
                return self
            others = {other: each for other, each in self.applied.items() if other != name}
            return self._with(others, {**self.retired, name: version})
        if record.name.startswith(LIVE) and record.action in (PROMOTE, ROLLBACK):
            group = record.name.removeprefix(LIVE)
            previous = self.live.get(group, LiveState(0)).version
            live = LiveState(int(record.arguments["version"]), previous)
            if f"{group}@{live.version}" in self.applied and live.version != previous:
                return Versions(self.applied, {**self.live, group: live}, self.retired, self.ended)
        return self

    def _with(self, applied: Mapping[str, Version], retired: Mapping[str, Version]) -> "Versions":
        needed = {version.job for version in applied.values()}
        ended = self.ended.union(self.jobs()).difference(needed)
        return Versions(applied, self.live, retired, ended)

    def apply_all(self, payloads: Iterable[bytes | None]) -> "Versions":
        """The fold after these records of the topic. A record that cannot be applied is reported and skipped."""
        versions = self
        for payload in payloads:
            record = control_of(payload)
            try:
                versions = versions.apply(record) if record else versions
            except Exception as error:  # a broken plan can fail anywhere
                sys.stderr.write(f"skipped {record and record.name} of topic {CONTROL_TOPIC.name}: {error!r}\n")
        return versions

    def groups(self) -> tuple[Group, ...]:
        """All versions, by name and version."""
        groups = (version.group for version in self.applied.values())
        return tuple(sorted(groups, key=lambda group: (group.name, group.version)))

    def live_groups(self) -> tuple[Group, ...]:
        """The live version of each group, by name."""
        return tuple(group for group in self.groups() if self.is_live(group))

    def is_live(self, group: Group) -> bool:
        """Whether this version is live."""
        live = self.live.get(group.name)
        return live is not None and live.version == group.version

    def sources(self) -> dict[str, Source]:
        """The streams that any version needs, by name, tables first; all versions declare a stream in the same way."""
        return {stream.name: stream for group in self.groups() for stream in group.source.streams}

    def computed_by(self, job: str) -> tuple[Group, ...]:
        """The versions that a job computes."""
        return tuple(group for group in self.groups() if self.applied[group.title].job == job)

    def reads_from(self, job: str) -> int:
        """The append time from which a job reads, ms; 0 for the whole log."""
        return min((version.from_ms for version in self.applied.values() if version.job == job), default=0)

    def jobs(self) -> tuple[str, ...]:
        """The Flink jobs that compute features."""
        return tuple(sorted({version.job for version in self.applied.values()}))


def _decode_plan(plan: str) -> Group:
    """Decode a plan and check that its consumers can use it, by preparing once what they derive from it.

    Raises:
        ValueError: it is not a plan, or cannot be loaded.
    """
    try:
        group = msgspec.json.decode(plan, type=Group)
        retention_of(group).oldest_slots(PLAUSIBLE_MS.start)
        TileDecoder(group)
        SequenceDecoder(group)
        entity_of(group, dict.fromkeys(group.entity))
    except Exception as error:
        message = f"not a plan of this software: {error!r}"
        raise ValueError(message) from error
    if not _TOPIC.fullmatch(group.tile_topic) or not _TOPIC.fullmatch(group.sequence_topic):
        message = f"{group.title[:60]!a} cannot name a topic: letters, digits, dot, dash, underscore are expected"
        raise ValueError(message)
    return group


def read_versions(bootstrap: str) -> Versions:
    """The fold of the whole topic as it is now.

    Raises:
        TimeoutError: the end of the topic was not reached in time.
    """
    tail, versions, ends_s = LogReader(bootstrap, CONTROL_TOPIC.name), Versions(), time.monotonic() + _READ_S
    try:
        while not tail.at_end:
            if time.monotonic() > ends_s:
                message = f"topic {CONTROL_TOPIC.name} at {bootstrap} could not be read to its end in {_READ_S:.0f} s"
                raise TimeoutError(message)
            versions = versions.apply_all(message.value() for message in tail.read(_POLL_S))
    finally:
        tail.close()
    return versions
