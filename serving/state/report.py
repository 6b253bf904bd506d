"""What the feeder knows apart from the state."""

from msgspec import Struct

from headrace.schemas.http import AppliedVersion, RefusedVersion


class Report(Struct, frozen=True, kw_only=True):
    """What the feeder knows apart from the state.

    Attributes:
        waiting_for: parts that are still missing before requests may come.
        stalled: sentences about consumers that make no progress and so keep features old.
        applied, refused, rejected: as `GET /v1/models` lists them, the newest first.
        frozen: the version that live is frozen at, None if it follows the learner.
        following: the aliases that follow a model, which are not pinned.
        unshadowed: slates that the challenger did not score.
    """

    waiting_for: list[str]
    stalled: list[str]
    applied: list[AppliedVersion]
    refused: list[RefusedVersion]
    rejected: dict[str, int]
    frozen: str | None
    following: list[str]
    unshadowed: int = 0


class NotPublished(Exception):
    """There is no state yet."""
