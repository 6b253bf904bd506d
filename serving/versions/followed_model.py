"""The model whose versions a thread follows."""

from pathlib import Path

from msgspec import Struct

from headrace.models.config import RankerConfig


class FollowedModel(Struct, frozen=True, kw_only=True):
    """A model whose versions are followed.

    Attributes:
        name: its name in the log of versions.
        key: verifies the versions.
        snapshots: the folder of the learner's snapshots.
        config: settings that a version must have.
    """

    name: str
    key: bytes
    snapshots: Path
    config: RankerConfig = RankerConfig()
