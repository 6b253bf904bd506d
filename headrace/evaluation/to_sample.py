"""Build the training sample that the pipeline would have made of a row."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from msgspec import Struct

from headrace.models.ranker.inputs import FEATURE_SET
from headrace.replay.recordings import Visit
from headrace.replay.writer import ARM
from headrace.schemas.defaults import HISTORY
from headrace.schemas.model.heads import SHIPPED_HEADS, Head
from headrace.schemas.samples import FIRST, HEAD_FIELDS, NEGATIVE_WEIGHT, Sample


class ShownItem(Struct, frozen=True, kw_only=True):
    """A shown item; `dense`: its inputs as of the rows before, F float32, of `feature_set`; `head`: the score head."""

    item_id: str
    category: str
    dense: bytes
    feature_set: str = FEATURE_SET
    head: Head = SHIPPED_HEADS.score


def build_sample(
    visit: Visit,
    shown: ShownItem,
    *,
    history: Sequence[str],
    click: bool,
    others: Mapping[str, float] = MappingProxyType({}),
    negative_rate: float = 1.0,
) -> Sample:
    """Build the sample of an item shown on a visit: `click` labels the score head, `others` other heads by name.

    `negative_rate` is the share of such negatives kept. The weight is that of the score head's label.
    """
    labels = {**others, shown.head.name: float(click)}
    return Sample(
        request_id="",
        position=0,
        user_id=visit.user_id,
        item_id=shown.item_id,
        category=shown.category,
        kind=FIRST,
        served_at=visit.at_ms,
        known_at=visit.at_ms,
        click=labels.get("click"),
        converted=labels.get("converted"),
        engagement=labels.get("engagement"),
        labels={name: label for name, label in labels.items() if name not in HEAD_FIELDS},
        weight=shown.head.event_weight if click else NEGATIVE_WEIGHT,
        negative_rate=negative_rate,
        propensity=1.0,
        served_score=0.0,
        arm=ARM.name,
        policy=ARM.policy,
        model_version="",
        feature_set=shown.feature_set,
        history=list(history[:HISTORY]),
        context={},
        dense=shown.dense,
    )
