"""The versions of a model that the log holds, and the decisions about them, read from the topics as they are now."""

import msgspec
from msgspec import Struct
from rich.table import Table

from headrace.console import screen
from headrace.layout import Endpoints, Layout
from headrace.timestamps import utc
from schemas.control import Control, control_of
from schemas.defaults import LIVE_MODEL
from schemas.delta import DeltaError, Manifest, manifest_hash
from schemas.topics import CONTROL_TOPIC, MODEL_DELTAS
from schemas.version_policy import MODEL, VersionId, VersionPolicy, version_text
from store.log import read_values

_FIGURES = ("published.all.click.log_loss", "published.all.click.calibration")


class ModelVersion(Struct, frozen=True, kw_only=True):
    """One version: its manifest, hash, and the bytes of its chunks."""

    manifest: Manifest
    hash: str
    chunk_bytes: int

    @property
    def place(self) -> VersionId:
        """Epoch and sequence."""
        return self.manifest.epoch, self.manifest.seq


class ModelVersions(Struct, frozen=True, kw_only=True):
    """Versions in order, decisions in order, and the course that follows from them."""

    versions: dict[VersionId, ModelVersion]
    decisions: list[Control]
    policy: VersionPolicy

    @property
    def live(self) -> VersionId | None:
        """The version that answers, or is about to: the newest one that the course admits."""
        return max(filter(self.policy.allows, self.versions), default=None)

    @property
    def next_epoch(self) -> int:
        """One that neither the log nor a decision has used."""
        return max(self.policy.epoch, max(self.versions, default=(0, 0))[0]) + 1


def read_model_versions(endpoints: Endpoints, model: str = LIVE_MODEL) -> ModelVersions:
    """What the log holds of a model now.

    Raises:
        KafkaException: the broker is away.
    """
    versions: dict[VersionId, ModelVersion] = {}
    chunk_bytes = 0
    for value in read_values(endpoints.bootstrap, MODEL_DELTAS.name):
        if not value.startswith(b"{"):
            chunk_bytes += len(value)
            continue
        link, chunk_bytes = decode_version(value, chunk_bytes), 0
        if link is not None and link.manifest.model == model:
            versions[link.place] = link
    payloads = list(read_values(endpoints.bootstrap, CONTROL_TOPIC.name))
    decisions = [each for each in map(control_of, payloads) if each is not None and each.name == f"{MODEL}{model}"]
    return ModelVersions(versions=versions, decisions=decisions, policy=VersionPolicy().apply_all(model, payloads))


def decode_version(value: bytes, chunk_bytes: int) -> ModelVersion | None:
    """The version that a record tells of; None where it is no manifest: readers of versions pass it over too."""
    try:
        manifest = msgspec.json.decode(value, type=Manifest)
        return ModelVersion(manifest=manifest, hash=manifest_hash(value), chunk_bytes=chunk_bytes)
    except (msgspec.DecodeError, DeltaError):
        return None


def history(*, count: int = 30, model: str = LIVE_MODEL) -> None:
    """List the versions on the log and the decisions taken, newest first.

    Args:
        count: how many versions at most.
        model: another one than live's.
    """
    chain = read_model_versions(Layout.here().endpoints(), model)
    out = screen()
    out.print(versions_table(chain, count), "")
    out.print(decisions_table(chain))


def versions_table(chain: ModelVersions, count: int) -> Table:
    """A row a version; `left` ones were gone back from, `held` ones come with `unfreeze`."""
    table = Table(
        "version", "state", "from", "to", "rows", "bytes", "log loss", "calibration", box=None, pad_edge=False
    )
    for place, link in sorted(chain.versions.items(), reverse=True)[:count]:
        manifest = link.manifest
        times = (utc(manifest.from_ms), utc(manifest.to_ms))
        size = (str(sum(manifest.rows.values())), str(link.chunk_bytes))
        table.add_row(
            version_text(place), _state(chain, place), *times, *size, *(_figure(manifest, n) for n in _FIGURES)
        )
    return table


def decisions_table(chain: ModelVersions) -> Table:
    """A row a decision: what, by whom and why."""
    table = Table("at", "decision", "arguments", "who", "why", box=None, pad_edge=False)
    for decision in reversed(chain.decisions):
        arguments = ", ".join(f"{name} {value}" for name, value in decision.arguments.items())
        table.add_row(utc(decision.at), decision.action, arguments, decision.who, decision.why)
    return table


def _state(chain: ModelVersions, place: VersionId) -> str:
    course = chain.policy
    if place == chain.live:
        return "live, frozen" if course.frozen_at else "live"
    if course.allows(place):
        return ""
    return "left" if place > course.target and place[0] < course.epoch else "held"


def _figure(manifest: Manifest, name: str) -> str:
    value = manifest.stats.get(name)
    return "" if value is None else f"{value:.4f}"
