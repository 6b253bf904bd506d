"""A model as it was served: rebuilt from a snapshot and the log of versions, up to one version.

A version on the log never changes, so neither decisions nor bounds count here: whatever was served can be rebuilt, also
a version that was rolled back before or after. The log is read from the snapshot's version on. The reader finds that
version by going backwards from the time of the slate, so the length of the log does not matter.
"""

from collections.abc import Iterable
from contextlib import closing
from datetime import UTC, datetime

from confluent_kafka import Message

from headrace.models.ranker.state import ModelState
from headrace.schemas.topics import MODEL_DELTAS
from headrace.schemas.versions.delta import DeltaError, Manifest, manifest_of
from headrace.schemas.versions.delta_assembler import DeltaAssembler
from headrace.schemas.versions.version_policy import VersionId, VersionPolicy, parse_version, version_text
from headrace.serving.versions import history, snapshot
from headrace.serving.versions.followed_model import FollowedModel
from headrace.serving.versions.history import Applied
from headrace.store.kafka.log import BEGINNING, LogReader, raise_any

_BACK, _GROWTH = 128, 4  # offsets to go back at first, and how many times as far each time after that
_BATCH = 100  # records a read: a chunk may have 900 kB
_DAY_MS = 86_400_000


class VersionGone(LookupError):
    """Log and snapshots no longer hold what a version is rebuilt from; the message says what they do hold."""


def model_at(bootstrap: str, followed: FollowedModel, version: str, *, served_at: int) -> ModelState:
    """The model under a version that was served at a time, ms.

    Raises:
        VersionGone: log and snapshots no longer reach back to it. KafkaException: the broker does not answer.
    """
    wanted = parse_version(version)
    base = _base(followed, wanted)
    if base.version == wanted:
        return base.model
    with closing(LogReader(bootstrap, MODEL_DELTAS.name, {}, on_error=raise_any)) as log:
        log.assign({0: _begin(log, followed.name, base.version, end=log.offsets_at(served_at)[0])})
        replay = _Replay(followed, base, wanted)
        for message in log.read_to_end(batch=_BATCH):
            if message.key() == followed.name.encode() and replay.feed(message.value() or b""):
                break
        if replay.applied.version != wanted:
            raise VersionGone(_missing(log, followed.name, replay, base=base.version))
    return replay.applied.model


class _Replay:
    """Applies versions up to the wanted one, as they are read. `refusal`: what is wrong with that one itself."""

    def __init__(self, followed: FollowedModel, base: Applied, wanted: VersionId) -> None:
        self.applied, self.wanted = base, wanted
        self.refusal = ""
        self._assembler = DeltaAssembler(key=followed.key, schema=followed.config.schema(), model=followed.name)
        epoch, seq = base.version
        self._assembler.resume(epoch=epoch, seq=seq, digest=base.hash)

    def feed(self, payload: bytes) -> bool:
        """Take one message; returns whether the wanted version is applied, or can no longer come."""
        manifest = manifest_of(payload)
        if manifest and _id(manifest) > self.wanted and self._assembler.verifies(payload):
            return True
        try:
            delta = self._assembler.feed(payload)
        except DeltaError as error:
            if manifest and _id(manifest) == self.wanted and error.check != "parent":
                self.refusal = str(error)
            return False
        if delta is not None:
            self.applied = history.apply(self.applied, delta)
        return self.applied.version == self.wanted


def _base(followed: FollowedModel, wanted: VersionId) -> Applied:
    """The newest snapshot up to a version; without one, the empty model."""
    policy = VersionPolicy(frozen_at=wanted)
    found = snapshot.latest(followed.snapshots, followed.config, after=(0, 0), policy=policy)
    return history.from_snapshot(found) if found else Applied(model=ModelState.empty(followed.config))


def _begin(log: LogReader, name: str, base: VersionId, *, end: int) -> int:
    """An offset before `end`, and before the version after `base`, but not far; or the beginning of the log."""
    (low, _), back = log.bounds(), _BACK
    while (begin := max(low, end - back)) > low:
        log.assign({0: begin})
        first = _first_version(log.read_to_end(batch=_BATCH), name)
        if first is not None and _id(first[1]) <= base:
            break
        back *= _GROWTH
    return begin


def _first_version(messages: Iterable[Message], name: str) -> tuple[Message, Manifest] | None:
    """The first manifest of a model."""
    for message in messages:
        manifest = manifest_of(message.value() or b"")
        if manifest is not None and manifest.model == name:
            return message, manifest
    return None


def _missing(log: LogReader, name: str, replay: _Replay, *, base: VersionId) -> str:
    """What is missing between a snapshot and the version, and what to do."""
    wanted, topic = version_text(replay.wanted), MODEL_DELTAS.name
    start = f"the newest snapshot up to it is {version_text(base)}" if any(base) else "no snapshot is as old"
    if replay.refusal:
        return f"version {wanted} of {name} cannot be rebuilt: {replay.refusal}"
    log.assign(BEGINNING)
    first = _first_version(log.read_to_end(batch=_BATCH), name)
    if first is not None and (_id(first[1]) <= (base[0], base[1] + 1) or not first[1].parent):
        last = version_text(replay.applied.version)
        return f"version {wanted} of {name} cannot be rebuilt: topic {topic} has no intact version that follows {last}"
    held = f"topic {topic} has no version of {name}"
    if first is not None:
        appended = datetime.fromtimestamp(first[0].timestamp()[1] / 1000, tz=UTC)
        held = f"topic {topic} begins with version {first[1].version}, appended {appended:%Y-%m-%d %H:%M:%S} UTC"
    days = MODEL_DELTAS.retention_ms // _DAY_MS
    return (
        f"version {wanted} of {name} is gone: {held}, and {start}. The topic keeps {days} days. Explain a later slate, "
        f"or restore older snapshots from a backup. To reach further back from now on, raise the retention of {topic} "
        "in schemas/topics.py and on the broker: the first snapshot of each day is kept for 30 days"
    )


def _id(manifest: Manifest) -> VersionId:
    return manifest.epoch, manifest.seq
