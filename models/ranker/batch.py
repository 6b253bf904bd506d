"""A micro-batch, as arrays."""

from msgspec import Struct

from headrace.models.array_types import Flags, Floats, Ids
from headrace.models.content.vectors import Content
from headrace.schemas.model.heads import SCORE


class Batch(Struct, frozen=True, kw_only=True):
    """B samples.

    Attributes:
        users, items, categories: [B]. `history`: [B, L], newest first, 0 where there is none.
        dense: [B, F]. `positions`: [B], 0-based.
        labels: [B, H] in the order of `Heads.ordered`: 0 or 1 of the logistic heads, seconds of the others.
        weights: [B, H], loss weight of each label, 0 where the head is unknown.
        undo: [B, H], weight of an earlier negative that a correction undoes.
        counts, uncounts: [B, H], number of slots that each label, and each undone negative, represents, regardless of
            its loss weight; 0 where the head is unknown.
        at_ms: the learner's clock.
        content: of the items; None if no modality is declared.
        learned_ahead: [B], samples whose embedding rows the urgent lane has taught already; None if there are none.
    """

    users: Ids
    items: Ids
    categories: Ids
    history: Ids
    dense: Floats
    positions: Ids
    labels: Floats
    weights: Floats
    undo: Floats
    counts: Floats
    uncounts: Floats
    at_ms: int
    content: Content | None = None
    learned_ahead: Flags | None = None

    def __len__(self) -> int:
        return len(self.users)

    @property
    def stands_for_slot(self) -> Flags:
        """Which samples are the first to say what came of the score head: one of each slot that trains. [B].

        A slot has a sample for each positive and one for the rest, so who counts samples counts clicked slots twice.
        An item shown once would be admitted only if it was clicked, and its row would promise too much.
        """
        return (self.counts[:, SCORE] > 0) & (self.undo[:, SCORE] == 0)
