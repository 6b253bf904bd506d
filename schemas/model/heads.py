"""The heads of a ranker: what it predicts of a slot. A project declares its own in `model.toml` (docs/adr/0037)."""

import math
from collections.abc import Mapping
from functools import cached_property
from typing import Literal, TypeAlias

from msgspec import Struct

Kind: TypeAlias = Literal["logistic", "seconds"]
SCORE = 0
"""The place of the score head on every axis H: the first logistic head that is declared. Its probability is served as a
slot's score, and it is what the light ranker, retrieval, promotion and `headrace evaluate` follow."""


class Head(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One output of the ranker.

    Attributes:
        name: as samples, metrics and predictions call it.
        events: event types that are its positives; of a `seconds` head, whose `value` is the label.
        negatives: event types that say 0, without waiting for the slot to close.
        at_least: of a logistic head: events of `events` are positives if their `value` is at least this, else they say
            0, as a rating does; one without a value says nothing.
        kind: `logistic` predicts the chance that a positive comes, `seconds` how long it lasts, 0 where none comes.
        event_weight: loss weight of a positive. The learner takes that of a logistic head back out of the log-odds, so
            predictions stay probabilities; a head of seconds must have 1, because nothing is taken out there.
        loss_weight: weight of the head's loss among the others.
        blend: weight of its prediction in the score that orders a slate; below 0 the prediction lowers the score.
        urgent_from: a label of at least this much is written to the urgent lane too.
    """

    name: str
    events: tuple[str, ...]
    negatives: tuple[str, ...] = ()
    at_least: float | None = None
    kind: Kind = "logistic"
    event_weight: float = 1.0
    loss_weight: float = 1.0
    blend: float = 0.0
    urgent_from: float | None = None

    def label(self, event_type: str, value: float | None) -> float | None:
        """The label that an event gives the head: 0, 1 or seconds; None if it gives none.

        >>> liked = Head(name="liked", events=("rating",), negatives=("hide",), at_least=4.0)
        >>> [liked.label("rating", 5.0), liked.label("rating", 2.0), liked.label("rating", None)]
        [1.0, 0.0, None]
        >>> [liked.label("hide", None), liked.label("click", None)]
        [0.0, None]
        """
        if event_type in self.negatives:
            return 0.0
        if event_type not in self.events:
            return None
        if self.kind == "seconds":
            return value if value is not None and 0 < value < math.inf else None
        if self.at_least is None:
            return 1.0
        return None if value is None or math.isnan(value) else float(value >= self.at_least)


class Heads(Struct, frozen=True, dict=True):
    """The heads of a ranker, in the order in which they are declared; at least one is logistic.

    The axis H has another order, that of `ordered`: the logistic heads first. What is derived is kept, as the join
    asks for it with every event.
    """

    table: tuple[Head, ...]

    @cached_property
    def ordered(self) -> tuple[Head, ...]:
        """The heads in the order of every axis H."""
        return tuple(sorted(self.table, key=lambda head: head.kind != "logistic"))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Their names, H of them."""
        return tuple(head.name for head in self.ordered)

    @property
    def score(self) -> Head:
        """The head whose probability is a slot's score; see `SCORE`."""
        return self.ordered[SCORE]

    @cached_property
    def logistic(self) -> slice:
        """The logistic heads on an axis H."""
        return slice(0, sum(head.kind == "logistic" for head in self.table))

    @cached_property
    def seconds(self) -> slice:
        """The heads of seconds on an axis H."""
        return slice(self.logistic.stop, len(self.table))

    @cached_property
    def event_weights(self) -> Mapping[str, float]:
        """The weight of a positive, by head."""
        return {head.name: head.event_weight for head in self.ordered}

    @cached_property
    def loss_weights(self) -> tuple[float, ...]:
        """The weights of the losses, [H]."""
        return tuple(head.loss_weight for head in self.ordered)

    @cached_property
    def feedback(self) -> Mapping[str, tuple[Head, ...]]:
        """By event type, the heads that it says something of."""
        event_types = dict.fromkeys(each for head in self.table for each in (*head.events, *head.negatives))
        return {
            event_type: tuple(head for head in self.table if event_type in (*head.events, *head.negatives))
            for event_type in event_types
        }

    @cached_property
    def bits(self) -> Mapping[str, int]:
        """By head, its bit in the state of the samples job, in the order of declaration."""
        return {head.name: 1 << index for index, head in enumerate(self.table)}

    @property
    def all_bits(self) -> int:
        """The bits of all heads."""
        return (1 << len(self.table)) - 1


SHIPPED_HEADS = Heads(
    (
        Head(name="click", events=("click",), event_weight=3.0, blend=0.7),
        Head(name="converted", events=("purchase",), event_weight=10.0, blend=0.2, urgent_from=1.0),
        Head(name="engagement", events=("dwell",), kind="seconds", loss_weight=0.2, blend=0.1, urgent_from=60.0),
    )
)
"""The heads of a project that declares none."""
