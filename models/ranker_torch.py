"""The multi-task ranker as a differentiable function: target attention, cross network, MLP, three heads."""

# pyright: reportUnknownMemberType=false
import math
from typing import cast

import torch
from msgspec import Struct
from torch import Tensor
from torch.nn import functional

from models.array_types import Floats
from models.batch import Batch
from models.config import INPUT_LIMIT, LEAD, LONGEST, UNIT_S, RankerConfig
from models.device import HOST, to_device
from models.fusion_torch import Vectors, tell
from schemas.samples import EVENT_WEIGHTS, HEADS

ENGAGEMENT = HEADS.index("engagement")
_WEIGHT_LOGITS = [math.log(EVENT_WEIGHTS[head]) for head in HEADS[:ENGAGEMENT]]
_NEVER = -1e9  # attention logit of an empty slot
_OVERFLOWS = 20.0  # output of the engagement head whose exponential is still a sum's equal


class Rows(Struct, frozen=True):
    """Embedding rows of a batch. `user`, `item`, `category`: [B, W]; `present`: [B, L].

    `past`: vectors [B, L, D], zeros in empty slots. `vectors`: what the items came with.
    """

    user: Tensor
    item: Tensor
    category: Tensor
    past: Tensor
    present: Tensor
    vectors: Vectors


def forward(config: RankerConfig, dense: dict[str, Tensor], *, rows: Rows, inputs: Tensor) -> Tensor:
    """Head outputs without position: two logits and log(expected minutes). inputs [B, F] -> [B, H].

    Source: target attention as in Zhou et al. 2018 (DIN), but softmax over the slots; cross layers as in
    Wang et al. 2021 (DCN-v2, eq. 2, low rank).
    """
    user, item, category = (part[:, LEAD:] for part in (rows.user, rows.item, rows.category))  # [B, D]
    inputs = standardise(dense, inputs)
    attended = attend(dense, item, rows=rows)
    count = rows.present.sum(dim=1, keepdim=True).clamp(min=1)
    mean = rows.past.sum(dim=1) / count
    told = tell(config, dense, vectors=rows.vectors, user=user, mean=mean)
    start = torch.cat([user, item, category, attended, mean, attended * item, *told.pieces, inputs], dim=1)  # [B, X]
    crossed = start
    for layer in range(config.crosses):
        change = crossed @ dense[f"cross_{layer}_down"] @ dense[f"cross_{layer}_up"] + dense[f"cross_{layer}_bias"]
        crossed = torch.addcmul(crossed, start, change)
    deep = functional.relu(torch.addmm(dense["mlp_1_bias"], start, dense["mlp_1"]))
    deep = functional.relu(torch.addmm(dense["mlp_2_bias"], deep, dense["mlp_2"]))
    heads = torch.addmm(dense["head_bias"], torch.cat([crossed, deep], dim=1), dense["head"])
    heads = torch.addmm(heads, inputs, dense["wide"])
    if told.heads is not None:
        heads = heads + told.heads
    return heads + rows.user[:, :LEAD] + rows.item[:, :LEAD] + rows.category[:, :LEAD]


def standardise(dense: dict[str, Tensor], inputs: Tensor) -> Tensor:
    """Inputs by their running mean and spread, no further than `INPUT_LIMIT` spreads out. [B, F] -> [B, F]."""
    mean, spread = dense["input_mean"].detach(), dense["input_spread"].detach()
    return ((inputs - mean) / spread).clamp(-INPUT_LIMIT, INPUT_LIMIT)


def attend(dense: dict[str, Tensor], item: Tensor, *, rows: Rows) -> Tensor:
    """Past items weighed by what the candidate makes of them. item [B, D] -> [B, D].

    Zeros without a history: empty slots of `rows.past` are zeros.
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
    """Outputs as at the position shown. Position 0 adds nothing, so that serving scores a slot at the top. [B, H]."""
    table = torch.cat([torch.zeros(1, outputs.shape[1], device=outputs.device), dense["position"][1:]])
    return outputs + table[positions.clamp(max=len(table) - 1)]


def to_predictions(outputs: Tensor) -> Tensor:
    """Outputs as predictions: two chances and expected seconds, at most `LONGEST_S`. [B, H] -> [B, H]."""
    seconds = UNIT_S * torch.exp(outputs[:, ENGAGEMENT:].clamp(max=LONGEST))
    return torch.cat([torch.sigmoid(outputs[:, :ENGAGEMENT]), seconds], dim=1)


def loss(config: RankerConfig, outputs: Tensor, *, batch: Batch) -> Tensor:
    """Weighted sum over rows and heads, not divided by B.

    Logistic for click and converted. A positive that weighs w times a negative adds ln w to the log-odds that fit
    best; the loss is taken of the outputs with that much added, so that without it they are log-odds of what happens
    (King & Zeng 2001, "Logistic Regression in Rare Events Data", eq. 7). Poisson for engagement, whose minimum is the
    mean of the seconds however they are spread, zeros included. A correction adds the positive's loss less that of the
    negative learnt before: together they leave the positive alone.
    """
    weighted = torch.tensor([*_WEIGHT_LOGITS, 0.0], device=outputs.device)
    return _sum_of_losses(config, outputs + weighted, labels=batch.labels, weights=(batch.weights, batch.undo))


def bias_loss(config: RankerConfig, outputs: Tensor, *, batch: Batch) -> Tensor:
    """As `loss`, with every slot counting as one: where a bias no longer lowers it, as much is predicted as comes.

    `loss` alone gives that only where the model fits: noise in the log-odds, which weights make larger, lifts the mean.
    """
    return _sum_of_losses(config, outputs, labels=batch.labels, weights=(batch.counts, batch.uncounts))


def _sum_of_losses(config: RankerConfig, outputs: Tensor, *, labels: Floats, weights: tuple[Floats, Floats]) -> Tensor:
    """`weights`: of the labels, and of the negatives taken back, [B, H] each."""
    truth, weight, undo = (to_device(part, outputs.device) for part in (labels, *weights))
    logits = outputs[:, :ENGAGEMENT]
    each = weight[:, :ENGAGEMENT] * (functional.softplus(logits) - truth[:, :ENGAGEMENT] * logits)
    each = each - undo[:, :ENGAGEMENT] * functional.softplus(logits)
    minutes, seen = outputs[:, ENGAGEMENT], truth[:, ENGAGEMENT] / UNIT_S
    expected = torch.exp(minutes.clamp(max=_OVERFLOWS))
    apart = weight[:, ENGAGEMENT] * (expected - seen * minutes) - undo[:, ENGAGEMENT] * expected
    scale = torch.tensor(config.head_weights, device=outputs.device)
    return (each * scale[:ENGAGEMENT]).sum() + apart.sum() * scale[ENGAGEMENT]


def light_loss(dense: dict[str, Tensor], inputs: Tensor, *, outputs: Tensor) -> Tensor:
    """Loss of the light ranker, a logistic in the dense inputs that copies the full one's click chance."""
    teacher = torch.sigmoid(outputs[:, 0]).detach()
    logits = standardise(dense, inputs) @ dense["light"] + dense["light_bias"]
    return (functional.softplus(logits) - teacher * logits).sum()


def from_numpy(dense: dict[str, Floats], device: torch.device = HOST) -> dict[str, Tensor]:
    """Dense tensors on a device; on the CPU they share memory with the arrays."""
    return {name: to_device(values, device) for name, values in dense.items()}


def to_numpy(tensor: Tensor) -> Floats:
    """The tensor's numbers; on the CPU they share its memory."""
    return cast(Floats, tensor.cpu().numpy())
