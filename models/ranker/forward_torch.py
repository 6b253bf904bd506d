"""The multi-task ranker as a differentiable function: target attention, cross network, MLP, heads."""

# pyright: reportUnknownMemberType=false
import math
from typing import cast

import torch
from msgspec import Struct
from torch import Tensor
from torch.nn import functional

from headrace.models.array_types import Floats
from headrace.models.device import HOST, to_device
from headrace.models.ranker.batch import Batch
from headrace.models.ranker.config import INPUT_LIMIT, LONGEST, UNIT_S, RankerConfig
from headrace.models.ranker.fusion_torch import Vectors, apply_fusion
from headrace.schemas.model.heads import SCORE, Heads

_NEVER = -1e9  # attention logit of an empty slot
_OVERFLOWS = 20.0  # largest exponent of the loss of seconds, so that one row does not swamp the sum


class Rows(Struct, frozen=True):
    """Embedding rows of a batch. `user`, `item`, `category`: [B, W]; `present`: [B, L].

    `past`: vectors [B, L, D], zeros in empty slots. `vectors`: the items' vectors.
    """

    user: Tensor
    item: Tensor
    category: Tensor
    past: Tensor
    present: Tensor
    vectors: Vectors


def forward(config: RankerConfig, dense: dict[str, Tensor], *, rows: Rows, inputs: Tensor) -> Tensor:
    """Compute the head outputs without position: logits, then logs of expected minutes. inputs [B, F] -> [B, H].

    Source: target attention as in Zhou et al. 2018 (DIN), but with a softmax over the slots; cross layers as in
    Wang et al. 2021 (DCN-v2, eq. 2, low rank).
    """
    lead = config.lead
    user, item, category = (part[:, lead:] for part in (rows.user, rows.item, rows.category))  # [B, D]
    inputs = standardise(dense, inputs)
    attended = attend(dense, item, rows=rows)
    count = rows.present.sum(dim=1, keepdim=True).clamp(min=1)
    mean = rows.past.sum(dim=1) / count
    fusion = apply_fusion(config, dense, vectors=rows.vectors, user=user, mean=mean)
    start = torch.cat([user, item, category, attended, mean, attended * item, *fusion.pieces, inputs], dim=1)  # [B, X]
    crossed = start
    for layer in range(config.crosses):
        change = crossed @ dense[f"cross_{layer}_down"] @ dense[f"cross_{layer}_up"] + dense[f"cross_{layer}_bias"]
        crossed = torch.addcmul(crossed, start, change)
    deep = functional.relu(torch.addmm(dense["mlp_1_bias"], start, dense["mlp_1"]))
    deep = functional.relu(torch.addmm(dense["mlp_2_bias"], deep, dense["mlp_2"]))
    heads = torch.addmm(dense["head_bias"], torch.cat([crossed, deep], dim=1), dense["head"])
    heads = torch.addmm(heads, inputs, dense["wide"])
    if fusion.heads is not None:
        heads = heads + fusion.heads
    return heads + rows.user[:, :lead] + rows.item[:, :lead] + rows.category[:, :lead]


def standardise(dense: dict[str, Tensor], inputs: Tensor) -> Tensor:
    """Standardise inputs by running mean and spread; clip at `INPUT_LIMIT` spreads. [B, F] -> [B, F]."""
    mean, spread = dense["input_mean"].detach(), dense["input_spread"].detach()
    return ((inputs - mean) / spread).clamp(-INPUT_LIMIT, INPUT_LIMIT)


def attend(dense: dict[str, Tensor], item: Tensor, *, rows: Rows) -> Tensor:
    """Weight past items by their relevance to the candidate. item [B, D] -> [B, D].

    Zeros for an empty history: empty slots of `rows.past` are zeros.
    """
    size, slots, dim = rows.past.shape
    flat = rows.past.reshape(-1, dim)  # [B * L, D]
    both = (rows.past * item[:, None, :]).reshape(-1, dim)
    unit = torch.addmm(flat @ dense["attend_past"], both, dense["attend_both"]).reshape(size, slots, -1)
    unit = functional.relu(unit + (item @ dense["attend_now"] + dense["attend_bias"])[:, None, :])
    logits = unit @ dense["attend_out"] + dense["attend_slot"][:slots]
    shares = torch.softmax(logits.masked_fill(~rows.present, _NEVER), dim=1)
    return (shares[:, None, :] @ rows.past)[:, 0, :]


def add_position_bias(dense: dict[str, Tensor], outputs: Tensor, *, positions: Tensor) -> Tensor:
    """Add the bias of the position shown. Position 0 adds nothing, so serving scores as if at the top. [B, H]."""
    table = torch.cat([torch.zeros(1, outputs.shape[1], device=outputs.device), dense["position"][1:]])
    return outputs + table[positions.clamp(max=len(table) - 1)]


def to_predictions(heads: Heads, outputs: Tensor) -> Tensor:
    """Convert outputs to probabilities and expected seconds, at most `LONGEST_S`. [B, H] -> [B, H]."""
    seconds = UNIT_S * torch.exp(outputs[:, heads.seconds].clamp(max=LONGEST))
    return torch.cat([torch.sigmoid(outputs[:, heads.logistic]), seconds], dim=1)


def loss(config: RankerConfig, outputs: Tensor, *, batch: Batch) -> Tensor:
    """Sum the weighted loss over rows and heads, not divided by B.

    Logistic heads: a positive with w times a negative's weight adds ln w to the log-odds that fit best. The loss is
    computed on the outputs plus ln w, so the outputs alone are the log-odds of the event (King & Zeng 2001, "Logistic
    Regression in Rare Events Data", eq. 7). Heads of seconds: Poisson, whose minimum is the mean of the seconds, zeros
    included, whatever their distribution. A correction adds the positive's loss minus that of the negative learned
    before: the sum is the positive's loss.
    """
    weighted = torch.tensor([math.log(head.event_weight) for head in config.heads.ordered], device=outputs.device)
    return _sum_of_losses(config, outputs + weighted, labels=batch.labels, weights=(batch.weights, batch.undo))


def bias_loss(config: RankerConfig, outputs: Tensor, *, batch: Batch) -> Tensor:
    """Compute `loss` with every slot counted once: at its minimum over a bias, predictions sum to the labels.

    `loss` alone achieves that only where the model fits: noise in the log-odds, amplified by weights, raises the mean.
    """
    return _sum_of_losses(config, outputs, labels=batch.labels, weights=(batch.counts, batch.uncounts))


def _sum_of_losses(config: RankerConfig, outputs: Tensor, *, labels: Floats, weights: tuple[Floats, Floats]) -> Tensor:
    """`weights`: of the labels, and of the undone negatives, [B, H] each."""
    truth, weight, undo = (to_device(part, outputs.device) for part in (labels, *weights))
    scale = torch.tensor(config.head_weights, device=outputs.device)
    logistic, seconds_of = config.heads.logistic, config.heads.seconds
    logits = outputs[:, logistic]
    each = weight[:, logistic] * (functional.softplus(logits) - truth[:, logistic] * logits)
    total = ((each - undo[:, logistic] * functional.softplus(logits)) * scale[logistic]).sum()
    for head in range(seconds_of.start, seconds_of.stop):
        units, observed = outputs[:, head], truth[:, head] / UNIT_S
        expected = torch.exp(units.clamp(max=_OVERFLOWS))
        seconds = weight[:, head] * (expected - observed * units) - undo[:, head] * expected
        total = total + seconds.sum() * scale[head]
    return total


def light_loss(dense: dict[str, Tensor], inputs: Tensor, *, outputs: Tensor) -> Tensor:
    """Compute the loss of the light ranker: a logistic in the dense inputs that imitates the score head."""
    teacher = torch.sigmoid(outputs[:, SCORE]).detach()
    logits = standardise(dense, inputs) @ dense["light"] + dense["light_bias"]
    return (functional.softplus(logits) - teacher * logits).sum()


def from_numpy(dense: dict[str, Floats], device: torch.device = HOST) -> dict[str, Tensor]:
    """Return dense tensors on a device; on the CPU they share memory with the arrays."""
    return {name: to_device(values, device) for name, values in dense.items()}


def to_numpy(tensor: Tensor) -> Floats:
    """Return a tensor as an array; on the CPU it shares the tensor's memory."""
    return cast(Floats, tensor.cpu().numpy())
