"""Retrieval vectors of users and items, trained so that their product ranks items for a user."""

# pyright: reportUnknownMemberType=false
import torch
from torch import Tensor
from torch.nn import functional

from headrace.models.ranker.forward_torch import Rows


def user_tower(dense: dict[str, Tensor], rows: Rows) -> Tensor:
    """Return users' unit vectors, from the user's row, and the mean and the last item of the history. -> [B, V]."""
    count = rows.present.sum(dim=1, keepdim=True).clamp(min=1)
    mean = rows.past.sum(dim=1) / count
    joint = torch.cat([rows.user[:, _lead(dense) :], mean, rows.past[:, 0]], dim=1)
    return functional.normalize(torch.addmm(dense["user_vector_bias"], joint, dense["user_vector"]), dim=1)


def item_tower(dense: dict[str, Tensor], item: Tensor, *, category: Tensor, lift: Tensor | None) -> Tensor:
    """Return items' unit vectors, from id and category rows [N, W] and the term of `fusion_torch.lift`. -> [N, V]."""
    lead = _lead(dense)
    joint = torch.cat([item[:, lead:], category[:, lead:]], dim=1)
    vectors = torch.addmm(dense["item_vector_bias"], joint, dense["item_vector"])
    return functional.normalize(vectors if lift is None else vectors + lift, dim=1)


def _lead(dense: dict[str, Tensor]) -> int:
    """Columns of a row before its vector: one for each head."""
    return len(dense["head_bias"])


def softmax_loss(similarity: Tensor, targets: Tensor, *, log_drawn: Tensor, weights: Tensor) -> Tensor:
    """Compute the sampled softmax: each positive against the sampled items, corrected for their frequency.

    Args:
        similarity: [P, N], cosine over temperature, of P positives with N sampled items.
        targets: [P], the positive's index among the N.
        log_drawn: [N], log of the probability that the item is among the sampled.
        weights: [P], loss weights.

    Source: Yi et al. 2019, "Sampling-bias-corrected neural modeling", eq. 6 (log-Q correction).
    """
    logits = similarity - log_drawn
    return (functional.cross_entropy(logits, targets, reduction="none") * weights).sum()
