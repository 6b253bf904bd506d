"""A model as it was served: rebuilt from a snapshot and the log of versions, up to one version."""

from collections.abc import Iterable
from contextlib import closing

from msgspec import Struct, field, structs

from models.state import ModelState
from schemas.control import control_of
from schemas.topics import CONTROL_TOPIC, MODEL_DELTAS
from schemas.version_policy import VersionPolicy, parse_version
from serving.state.state import Progress
from serving.versions.delta_reader import DeltaReader
from serving.versions.followed_model import FollowedModel
from store.log import LogReader, raise_any, read_values


class _Memory(Struct, kw_only=True):
    """An alias slot that nobody serves from."""

    policy: VersionPolicy
    progress: Progress = field(default_factory=Progress)

    def promote(self, alias: str, model: ModelState, *, applied_at: int, offset: int = -1) -> None:
        """Nothing: the reader's chain has the model."""


def model_at(bootstrap: str, followed: FollowedModel, version: str, *, served_at: int) -> ModelState | None:
    """The model under a version that was served at a time, ms; None if log and snapshots no longer reach back to it.

    Decisions count up to that time: a version that was rolled back later was still served then.

    Raises:
        KafkaException: the broker does not answer.
    """
    decisions = _until(read_values(bootstrap, CONTROL_TOPIC.name), served_at)
    policy = VersionPolicy().apply_all(followed.name, decisions)
    reader = DeltaReader(_Memory(policy=structs.replace(policy, frozen_at=parse_version(version))), followed)
    reader.start()
    with closing(LogReader(bootstrap, MODEL_DELTAS.name, on_error=raise_any)) as log:
        while reader.chain.applied.model.version != version and not log.at_end:
            reader.step(log)
    model = reader.chain.applied.model
    return model if model.version == version else None


def _until(payloads: Iterable[bytes], at_ms: int) -> list[bytes]:
    return [each for each in payloads if (record := control_of(each)) is not None and record.at <= at_ms]
