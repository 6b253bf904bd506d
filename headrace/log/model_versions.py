"""The versions of a model on the log and the decisions about them, as the topics are now."""

import msgspec
from msgspec import Struct
from rich.table import Table

from headrace.console import screen
from headrace.layout import Endpoints, Layout
from headrace.models.ranker.config import RankerConfig
from headrace.schemas.control import Control, control_of
from headrace.schemas.defaults import LIVE_MODEL
from headrace.schemas.topics import CONTROL_TOPIC, MODEL_DELTAS
from headrace.schemas.versions.delta import DeltaError, Manifest, manifest_hash
from headrace.schemas.versions.version_policy import MODEL, VersionId, VersionPolicy, version_text
from headrace.store.kafka.log import read_values
from headrace.timestamps import utc

_FIGURES = ("log_loss", "calibration")  # of the score head, by the model as published


class ModelVersion(Struct, frozen=True, kw_only=True):
    """One version: its manifest, its hash, and the size of its chunks."""

    manifest: Manifest
    hash: str
    chunk_bytes: int

    @property
    def id(self) -> VersionId:
        """Epoch and sequence number."""
        return self.manifest.epoch, self.manifest.seq


class ModelVersions(Struct, frozen=True, kw_only=True):
    """Versions and decisions in log order, and the version policy that follows from the decisions."""

    versions: dict[VersionId, ModelVersion]
    decisions: list[Control]
    policy: VersionPolicy

    @property
    def live(self) -> VersionId | None:
        """The version that answers, or is about to: the newest one that the policy allows."""
        return max(filter(self.policy.allows, self.versions), default=None)

    def schema_of(self, version: VersionId) -> str:
        """The hash of what the readers of a version must share: inputs, heads, shapes."""
        return self.versions[version].manifest.schema

    @property
    def next_epoch(self) -> int:
        """The next epoch that neither the log nor a decision has used."""
        return max(self.policy.epoch, max(self.versions, default=(0, 0))[0]) + 1


def read_model_versions(endpoints: Endpoints, model: str = LIVE_MODEL) -> ModelVersions:
    """Read the versions of a model and its decisions from the log.

    Raises:
        KafkaException: the broker does not answer.
    """
    versions: dict[VersionId, ModelVersion] = {}
    chunk_bytes = 0
    for value in read_values(endpoints.bootstrap, MODEL_DELTAS.name):
        if not value.startswith(b"{"):
            chunk_bytes += len(value)
            continue
        version, chunk_bytes = decode_version(value, chunk_bytes), 0
        if version is not None and version.manifest.model == model:
            versions[version.id] = version
    payloads = list(read_values(endpoints.bootstrap, CONTROL_TOPIC.name))
    decisions = [each for each in map(control_of, payloads) if each is not None and each.name == f"{MODEL}{model}"]
    return ModelVersions(versions=versions, decisions=decisions, policy=VersionPolicy().apply_all(model, payloads))


def decode_version(value: bytes, chunk_bytes: int) -> ModelVersion | None:
    """Decode the version of a manifest record; None if it is not a manifest. Other readers of versions skip it too."""
    try:
        manifest = msgspec.json.decode(value, type=Manifest)
        return ModelVersion(manifest=manifest, hash=manifest_hash(value), chunk_bytes=chunk_bytes)
    except (msgspec.DecodeError, DeltaError):
        return None


def history(*, count: int = 30, model: str = LIVE_MODEL) -> None:
    """List the versions on the log and the decisions taken, newest first.

    Args:
        count: number of versions, at most.
        model: name of the model; by default live's.
    """
    found = read_model_versions(Layout.here().endpoints(), model)
    out = screen()
    out.print(versions_table(found, count), "")
    out.print(decisions_table(found))


def versions_table(found: ModelVersions, count: int) -> Table:
    """One row per version. `left` versions were rolled back from; `held` ones apply after `unfreeze`."""
    table = Table(
        "version", "state", "from", "to", "rows", "bytes", "log loss", "calibration", box=None, pad_edge=False
    )
    for id_, version in sorted(found.versions.items(), reverse=True)[:count]:
        manifest = version.manifest
        times = (utc(manifest.from_ms), utc(manifest.to_ms))
        size = (str(sum(manifest.rows.values())), str(version.chunk_bytes))
        table.add_row(version_text(id_), _state(found, id_), *times, *size, *(_figure(manifest, n) for n in _FIGURES))
    return table


def decisions_table(found: ModelVersions) -> Table:
    """One row per decision: what, by whom and why."""
    table = Table("at", "decision", "arguments", "who", "why", box=None, pad_edge=False)
    for decision in reversed(found.decisions):
        arguments = ", ".join(f"{name} {value}" for name, value in decision.arguments.items())
        table.add_row(utc(decision.at), decision.action, arguments, decision.who, decision.why)
    return table


def _state(found: ModelVersions, id_: VersionId) -> str:
    policy = found.policy
    if id_ == found.live:
        return "live, frozen" if policy.frozen_at else "live"
    if policy.allows(id_):
        return ""
    return "left" if id_ > policy.target and id_[0] < policy.epoch else "held"


def _figure(manifest: Manifest, name: str) -> str:
    head = RankerConfig.parse(manifest.settings).heads.score.name
    value = manifest.stats.get(f"published.all.{head}.{name}")
    return "" if value is None else f"{value:.4f}"
