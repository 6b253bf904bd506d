"""Which versions of feature groups exist, which job computes each, and which one answers: a fold of topic `control`.

A record `group/<group>@<version>` says that a version exists and carries its plan; `live/<group>` says which answers.
"""

import re
import sys
import time
from collections.abc import Iterable, Mapping
from types import MappingProxyType

import msgspec
from msgspec import Struct

from lang.plan.plan import Group
from lang.plan.source import Source
from schemas.control import Control, control_of
from schemas.times import PLAUSIBLE_MS
from schemas.topics import CONTROL_TOPIC
from store.decode import SequenceDecoder, TileDecoder, entity_of
from store.log import LogReader
from store.writer import retention_of

GROUP, LIVE = "group/", "live/"
APPLY, RETIRE, PROMOTE, ROLLBACK = "apply", "retire", "promote", "rollback"
_READ_S, _POLL_S = 20.0, 0.05
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")
_NOTHING: Mapping[str, "Version"] = MappingProxyType({})
_NONE: Mapping[str, "LiveState"] = MappingProxyType({})


class Version(Struct, frozen=True, kw_only=True):
    """One version of a group.

    Attributes:
        job: the Flink job that computes it, with others or alone.
        from_ms: the append time from which that job reads `events.clean`; 0 reads all of it.
    """

    group: Group
    job: str
    from_ms: int = 0

    @property
    def name(self) -> str:
        """`group@version`."""
        return self.group.title


class LiveState(Struct, frozen=True):
    """The version of a group that answers, and the one that did before; 0 for none."""

    version: int
    previous: int = 0


class Versions(Struct, frozen=True):
    """The fold: versions by `group@version`, choices by group. Immutable; `taken` makes a new one.

    The log is the order of decisions: one that the fold cannot follow (retire what answers, promote what is not
    there, promote what answers already) changes nothing. `ended`: jobs that were asked for once and are no more.
    """

    applied: Mapping[str, Version] = _NOTHING
    live: Mapping[str, LiveState] = _NONE
    retired: Mapping[str, Version] = _NOTHING
    ended: frozenset[str] = frozenset()

    def apply(self, record: Control) -> "Versions":
        """After one more record; what speaks of other things changes nothing.

        Raises:
            LookupError, ValueError: the record lacks an argument, or carries no plan of this software.
        """
        if record.name.startswith(GROUP) and record.action == APPLY:
            group = _group_of(record.arguments["plan"])
            from_ms = int(record.arguments.get("from_ms", "0"))
            version = Version(group=group, job=record.arguments["job"], from_ms=from_ms)
            retired = {name: each for name, each in self.retired.items() if name != version.name}
            return self._with({**self.applied, version.name: version}, retired)
        if record.name.startswith(GROUP) and record.action == RETIRE:
            name = record.name.removeprefix(GROUP)
            gone = self.applied.get(name)
            if gone is None or self.is_live(gone.group):
                return self
            left = {known: each for known, each in self.applied.items() if known != name}
            return self._with(left, {**self.retired, name: gone})
        if record.name.startswith(LIVE) and record.action in (PROMOTE, ROLLBACK):
            group = record.name.removeprefix(LIVE)
            before = self.live.get(group, LiveState(0)).version
            choice = LiveState(int(record.arguments["version"]), before)
            if f"{group}@{choice.version}" in self.applied and choice.version != before:
                return Versions(self.applied, {**self.live, group: choice}, self.retired, self.ended)
        return self

    def _with(self, applied: Mapping[str, Version], retired: Mapping[str, Version]) -> "Versions":
        wanted = {version.job for version in applied.values()}
        ended = self.ended.union(self.jobs()).difference(wanted)
        return Versions(applied, self.live, retired, ended)

    def apply_all(self, payloads: Iterable[bytes | None]) -> "Versions":
        """After these records of the topic. One that says nothing to this software is told of and passed over."""
        versions = self
        for payload in payloads:
            record = control_of(payload)
            try:
                versions = versions.apply(record) if record else versions
            except Exception as error:  # a plan may break whatever reads it
                sys.stderr.write(f"passed over {record and record.name} of topic {CONTROL_TOPIC.name}: {error!r}\n")
        return versions

    def groups(self) -> tuple[Group, ...]:
        """Every version there is, by name and version."""
        groups = (version.group for version in self.applied.values())
        return tuple(sorted(groups, key=lambda group: (group.name, group.version)))

    def live_groups(self) -> tuple[Group, ...]:
        """The version of each group that answers, by name."""
        return tuple(group for group in self.groups() if self.is_live(group))

    def is_live(self, group: Group) -> bool:
        """Whether this version answers."""
        choice = self.live.get(group.name)
        return choice is not None and choice.version == group.version

    def sources(self) -> dict[str, Source]:
        """The streams that any version needs, by name, tables first; all versions declare a stream alike."""
        return {stream.name: stream for group in self.groups() for stream in group.source.streams}

    def computed_by(self, job: str) -> tuple[Group, ...]:
        """The versions that a job computes."""
        return tuple(group for group in self.groups() if self.applied[group.title].job == job)

    def reads_from(self, job: str) -> int:
        """The append time from which a job reads, ms; 0 for all of the log."""
        return min((version.from_ms for version in self.applied.values() if version.job == job), default=0)

    def jobs(self) -> tuple[str, ...]:
        """The Flink jobs that compute features."""
        return tuple(sorted({version.job for version in self.applied.values()}))


def _group_of(plan: str) -> Group:
    """The group of a plan, which its consumers can work with: what they make of it is made once here.

    Raises:
        ValueError: it is no plan, or none that can be loaded.
    """
    try:
        group = msgspec.json.decode(plan, type=Group)
        retention_of(group).oldest_slots(PLAUSIBLE_MS.start)
        TileDecoder(group)
        SequenceDecoder(group)
        entity_of(group, dict.fromkeys(group.entity))
    except Exception as error:
        message = f"no plan of this software: {error!r}"
        raise ValueError(message) from error
    if not _TOPIC.fullmatch(group.tile_topic) or not _TOPIC.fullmatch(group.sequence_topic):
        message = f"{group.title[:60]!a} cannot name a topic: letters, digits, dot, dash, underscore are expected"
        raise ValueError(message)
    return group


def read_versions(bootstrap: str) -> Versions:
    """The fold of what the topic holds now.

    Raises:
        TimeoutError: the broker did not show its end.
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
