"""What the folder of shared state holds: `current.json` names the file of each part, `report.json` the feeder's state.

Both are replaced as a whole. A file of a part never changes once `current.json` names it.
"""

from pathlib import Path

import msgspec
from msgspec import Struct

from schemas.http import AppliedVersion, RefusedVersion

CURRENT, REPORT = "current.json", "report.json"


class ModelFiles(Struct, frozen=True, kw_only=True):
    """The files of one alias, and the fields of `serving.state.state.ServedModel` beside them."""

    model: str
    index: str
    applied_at: int
    offset: int
    name: str


class Current(Struct, frozen=True, kw_only=True):
    """The files of a serving state, by part; models by alias."""

    plan: str
    catalogue: str
    features: str
    models: dict[str, ModelFiles]


class Report(Struct, frozen=True, kw_only=True):
    """What the feeder knows beside the state.

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


def replace_json(path: Path, value: Struct) -> None:
    """Replace a file; a reader sees the old or the new one."""
    partial = path.with_suffix(".partial")
    partial.write_bytes(msgspec.json.encode(value))
    partial.rename(path)
