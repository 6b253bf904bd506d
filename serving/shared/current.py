"""What the folder of shared state holds apart from the files of parts.

`current.json` names the file of each part, `report.json` has what else the feeder knows, `metrics.prom` its metrics.
The three are replaced as a whole. A file of a part never changes once `current.json` names it.
"""

from pathlib import Path

from msgspec import Struct

CURRENT, REPORT, METRICS = "current.json", "report.json", "metrics.prom"


class ModelFiles(Struct, frozen=True, kw_only=True):
    """The files of one alias, with fields of `serving.state.state.ServedModel`."""

    model: str
    index: str
    applied_at: int
    offset: int
    name: str


class Current(Struct, frozen=True, kw_only=True):
    """The files of a serving state, by part; models by alias. `taken_down` as in `ServingState`."""

    plan: str
    catalogue: str
    features: str
    pool: str
    models: dict[str, ModelFiles]
    taken_down: list[int]


def replace(path: Path, contents: bytes) -> None:
    """Replace a file; a reader sees the old or the new one. After a crash of the machine the feeder writes it again."""
    partial = path.with_suffix(".partial")
    partial.write_bytes(contents)
    partial.rename(path)
