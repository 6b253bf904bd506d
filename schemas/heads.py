"""The heads of the ranker: what it predicts of a slot. Every tuple of heads elsewhere follows from this table.

A head that is added needs a line here and a field of its name in `schemas.samples.Sample`; see docs/recipes/head.md.
"""

import math
from collections.abc import Mapping
from typing import Literal, TypeAlias

from msgspec import Struct

Kind: TypeAlias = Literal["logistic", "seconds"]


class Head(Struct, frozen=True, kw_only=True):
    """One output of the ranker.

    Attributes:
        name: as samples, metrics and predictions call it.
        event_types: events that are its positives; of a `seconds` head, whose `value` is the label.
        kind: `logistic` predicts the chance that a positive comes, `seconds` how long it lasts, 0 where none comes.
        event_weight: loss weight of a positive. The learner takes that of a logistic head back out of the log-odds, so
            predictions stay probabilities; a head of seconds must have 1, because nothing is taken out there.
        loss_weight: weight of the head's loss among the others.
        blend: weight of its prediction in the score that orders a slate.
        urgent_from: a label of at least this much is written to the urgent lane too.
    """

    name: str
    event_types: tuple[str, ...]
    kind: Kind = "logistic"
    event_weight: float = 1.0
    loss_weight: float = 1.0
    blend: float = 0.0
    urgent_from: float = math.inf


TABLE = (
    Head(name="click", event_types=("click",), event_weight=3.0, blend=0.7),
    Head(name="converted", event_types=("purchase",), event_weight=10.0, blend=0.2, urgent_from=1.0),
    Head(name="engagement", event_types=("dwell",), kind="seconds", loss_weight=0.2, blend=0.1, urgent_from=60.0),
)
"""In the order in which they were added: the samples job keeps a bit for each by this order, so append at the end."""

_LOGISTIC = tuple(head for head in TABLE if head.kind == "logistic")
ORDERED = (*_LOGISTIC, *(head for head in TABLE if head.kind == "seconds"))
"""The heads in the order of every axis H: the logistic ones first."""
HEADS = tuple(head.name for head in ORDERED)
"""Their names, H of them."""
CLICK = HEADS.index("click")
"""The head whose probability is served as a slot's score."""
LOGISTIC = slice(0, len(_LOGISTIC))
"""The logistic heads on an axis H."""
SECONDS = slice(LOGISTIC.stop, len(ORDERED))
"""The heads of seconds on an axis H."""
EVENT_WEIGHTS: Mapping[str, float] = {head.name: head.event_weight for head in ORDERED}
LOSS_WEIGHTS = tuple(head.loss_weight for head in ORDERED)
FEEDBACK: Mapping[str, Head] = {event_type: head for head in TABLE for event_type in head.event_types}
"""The head that an event type is a positive of."""
