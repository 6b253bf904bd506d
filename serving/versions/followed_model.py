"""The model whose versions a thread follows."""

from msgspec import Struct

from headrace.models.ranker.config import RankerConfig
from headrace.store.location import Location


class FollowedModel(Struct, frozen=True, kw_only=True):
    """A model whose versions are followed.

    Attributes:
        name: its name in the log of versions.
        key: verifies the versions.
        snapshots: the learner's snapshots, in a folder or a bucket.
        config: settings that a version must have.
    """

    name: str
    key: bytes
    snapshots: Location
    config: RankerConfig = RankerConfig()
