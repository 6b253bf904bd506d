"""What the folder of shared state holds apart from the files of parts.

`current.json` names the file of each part, `report.json` has what else the feeder knows, `metrics.prom` its metrics.
The three are replaced as a whole. A file of a part never changes once `current.json` names it.
"""

from hashlib import blake2b
from pathlib import Path

from msgspec import Struct

from headrace.models.ranker.config import RankerConfig
from headrace.schemas.model.heads import SHIPPED_HEADS
from headrace.serving.state.columns import Columns

CURRENT, REPORT, METRICS = "current.json", "report.json", "metrics.prom"


_FORMAT = 2  # to be raised with every change of what the files of `serving.shared.state_files` contain


def layout_of(config: RankerConfig) -> str:
    """What the arrays mean. A feeder of another release, or with other inputs or heads, writes other columns."""
    inputs, heads = config.inputs, config.heads
    predicted = () if heads == SHIPPED_HEADS else tuple((head.name, head.kind) for head in heads.ordered)
    meaning = repr((Columns(inputs).names, inputs.feature_set, *predicted))
    return f"{_FORMAT}.{blake2b(meaning.encode(), digest_size=4).hexdigest()}"


LAYOUT = layout_of(RankerConfig())
"""That of a project without a `model.toml`."""


class ModelFiles(Struct, frozen=True, kw_only=True):
    """The files of one alias, with fields of `serving.state.state.ServedModel`."""

    model: str
    index: str
    applied_at: int
    offset: int
    name: str


class LayoutStamp(Struct, frozen=True):
    """What any release's `current.json` can be read as, to see whether it is this one's."""

    layout: str = ""


class Current(Struct, frozen=True, kw_only=True):
    """The files of a serving state, by part; models by alias. `taken_down` as in `ServingState`.

    `layout`: `layout_of` the models of the feeder that wrote them.
    """

    plan: str
    catalogue: str
    features: str
    pool: str
    models: dict[str, ModelFiles]
    taken_down: list[int]
    layout: str = LAYOUT


def replace(path: Path, contents: bytes) -> None:
    """Replace a file; a reader sees the old or the new one. After a crash of the machine the feeder writes it again."""
    partial = path.with_suffix(".partial")
    partial.write_bytes(contents)
    partial.rename(path)
