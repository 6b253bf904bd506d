"""The model as the learner trains it: tables and dense tensors, changed by one micro-batch at a time."""

# pyright: reportUnknownMemberType=false
import math

import numpy as np
import torch
from msgspec import Struct, structs
from torch import Tensor

from headrace.models.array_types import Flags, Floats, Ids, Indexes
from headrace.models.content.vectors import Content, ContentLayout
from headrace.models.device import HOST, to_device
from headrace.models.ranker.arrays import TrainingState, blank_dense
from headrace.models.ranker.batch import Batch
from headrace.models.ranker.config import TABLES, RankerConfig
from headrace.models.ranker.forward_numpy import Scores, gather_rows, recent_items, score
from headrace.models.ranker.forward_torch import (
    Rows,
    add_position_bias,
    bias_loss,
    forward,
    light_loss,
    loss,
    to_numpy,
    to_predictions,
)
from headrace.models.ranker.fusion_torch import Vectors, lift
from headrace.models.ranker.items import Items
from headrace.models.ranker.optimiser import Adam
from headrace.models.ranker.towers import item_tower, softmax_loss, user_tower
from headrace.models.tables.rowset import RowSource
from headrace.models.tables.table import DEFAULT, Table
from headrace.schemas.model.heads import SCORE
from headrace.schemas.versions.delta import Update

_FROM_ZERO = ("position", "wide")
_NEVER = -1e9  # similarity of an item left out of the softmax
_MOST_PERIODS = 64  # most decay steps for a gap; after those the floor is reached anyway


class Gathered(Struct, frozen=True):
    """Distinct rows of a batch as tensors, one per table, and their indexes.

    Attributes:
        indexes: of the rows in the table [U]. `leaves`: [U, W]. `picks`: the leaf of each element; for items first the
            B candidates, then B times L of histories.
    """

    indexes: dict[str, Indexes]
    leaves: dict[str, Tensor]
    picks: dict[str, Tensor]
    rows: Rows


def gather(
    config: RankerConfig, tables: dict[str, RowSource], batch: Batch, *, learn: bool, device: torch.device = HOST
) -> Gathered:
    """Look up the rows of a batch and copy them to a device; with `learn`, the leaves record gradients."""
    size, slots = batch.history.shape
    wanted = {
        "user": batch.users,
        "category": batch.categories,
        "item": np.concatenate([batch.items, batch.history.reshape(-1)]),
    }
    indexes: dict[str, Indexes] = {}
    leaves: dict[str, Tensor] = {}
    picks: dict[str, Tensor] = {}
    for name, ids in wanted.items():
        indexes[name], back = np.unique(tables[name].find(ids), return_inverse=True)
        leaves[name] = to_device(tables[name].rows(indexes[name]), device).requires_grad_(learn)
        picks[name] = to_device(back, device)
    present = to_device(batch.history != 0, device)
    past = leaves["item"][:, config.lead :].index_select(0, picks["item"][size:]).reshape(size, slots, -1)
    rows = Rows(
        user=leaves["user"].index_select(0, picks["user"]),
        item=leaves["item"].index_select(0, picks["item"][:size]),
        category=leaves["category"].index_select(0, picks["category"]),
        past=past * present[:, :, None],
        present=present,
        vectors=_vectors(batch.content or ContentLayout().blank(size), device),
    )
    return Gathered(indexes, leaves, picks, rows)


def _stop_gradients(gathered: Gathered, ahead: Tensor) -> Rows:
    """Return the gathered rows, with no gradient to the rows that ids of the marked samples [B] own."""
    rows, size = gathered.rows, len(ahead)
    owned = {
        name: to_device(gathered.indexes[name] != DEFAULT, ahead.device).index_select(0, pick)
        for name, pick in gathered.picks.items()
    }
    user, item, category = (
        torch.where((ahead & owned[name][:size])[:, None], part.detach(), part)
        for name, part in (("user", rows.user), ("item", rows.item), ("category", rows.category))
    )
    past = ahead[:, None] & owned["item"][size:].reshape(size, -1)
    past = torch.where(past[:, :, None], rows.past.detach(), rows.past)
    return structs.replace(rows, user=user, item=item, category=category, past=past)


def _vectors(content: Content, device: torch.device) -> Vectors:
    return Vectors(to_device(content.values, device), to_device(content.missing.astype(np.float32), device))


def predict(config: RankerConfig, dense: dict[str, Tensor], *, tables: dict[str, RowSource], batch: Batch) -> Floats:
    """Predict probabilities and seconds at the positions shown, without learning. [B, H]."""
    device = dense["position"].device
    with torch.no_grad():
        rows = gather(config, tables, batch, learn=False, device=device).rows
        outputs = forward(config, dense, rows=rows, inputs=to_device(batch.dense, device))
        shown = add_position_bias(dense, outputs, positions=to_device(batch.positions, device))
        return to_numpy(to_predictions(config.heads, shown))


class _Gradients(Struct, frozen=True):
    """Gradients of a batch: of the dense tensors, flat, and of the distinct rows of each table, with their indexes."""

    dense: Floats
    indexes: dict[str, Indexes]
    rows: dict[str, Floats]


class Trainer:
    """Learns micro-batches. Deterministic: the same batches give the same bits, on one torch thread."""

    def __init__(self, config: RankerConfig, generator: np.random.Generator, device: torch.device = HOST) -> None:
        self.config = config
        self._device = device
        self.tables = {name: Table(settings) for name, settings in config.tables().items()}
        self._adam = Adam(config, initial_dense(config, generator), device)
        self._period = -1
        self._sightings = 0.0

    @property
    def dense(self) -> dict[str, Tensor]:
        """The dense tensors, as leaves of the gradient."""
        return self._adam.tensors

    def learn(self, batch: Batch) -> Floats:
        """Learn a batch, and return the predictions made for it before. [B, H]: probabilities and seconds.

        Predictions come first: neither the inputs' statistics nor the admission of ids has seen the batch.

        Raises:
            FloatingPointError: a prediction, the loss or a gradient is not finite, because an input was not or the
                model has diverged. No parameter has changed.
        """
        predicted = self._predict(batch)
        new = batch.stands_for_slot
        if batch.learned_ahead is not None:
            new = new & ~batch.learned_ahead  # the others were seen when they were learned ahead
        self._begin_batch(batch, new)
        self._adam.update_statistics(batch.dense)
        found = self._gradients(batch)
        self._adam.step(found.dense, len(batch))
        self._learn_rows(found)
        return predicted

    def learn_ahead(self, batch: Batch) -> Floats:
        """Learn positives ahead of the log, only in the rows that their ids own; predict before, as in `learn`. [B, H].

        Shared parameters, and the default rows, must see them among the negatives of their time. They learn when the
        log brings the samples, in a batch that marks them `learned_ahead`.

        Raises:
            FloatingPointError: as `learn` does.
        """
        predicted = self._predict(batch)
        self._begin_batch(batch, np.ones(len(batch), np.bool_))  # what was bought has a row before its slot is closed
        found = self._gradients(batch)
        for name, gradients in found.rows.items():
            gradients[found.indexes[name] == DEFAULT] = 0.0
        self._learn_rows(found)
        return predicted

    def score(self, user_id: int, history: Ids, *, items: Items, inputs: Floats) -> Scores:
        """Score one user's candidates with the current model; see `ModelState.score`."""
        past = recent_items(history, self.config.history)
        part = gather_rows(self.tables, user_id=user_id, past=past, items=items, lead=self.config.lead)
        dense = {name: to_numpy(tensor.detach()) for name, tensor in self.dense.items()}
        return score(self.config, dense, part=part, inputs=inputs)

    def changes(self) -> Update:
        """Return the rows changed since the last call, as absolute values, and all dense tensors."""
        return Update({name: table.changes() for name, table in self.tables.items()}, self._adam.arrays())

    def mark_all_changed(self) -> None:
        """Make the next `changes` return the whole model."""
        for table in self.tables.values():
            table.mark_all_changed()

    def state(self) -> TrainingState:
        """Return a copy of everything a restart needs."""
        return TrainingState(
            tables={name: table.state() for name, table in self.tables.items()},
            dense=self._adam.arrays(),
            moments=self._adam.moments(),
            steps=self._adam.steps,
            period=self._period,
            sightings=self._sightings,
        )

    @classmethod
    def from_state(cls, config: RankerConfig, state: TrainingState, device: torch.device = HOST) -> "Trainer":
        """Restore a trainer from its state, on any device."""
        trainer = cls(config, np.random.default_rng(0), device)
        settings = config.tables()
        trainer.tables = {name: Table.from_state(settings[name], table) for name, table in state.tables.items()}
        trainer._adam = Adam(config, state.dense, device)
        trainer._adam.resume(state.moments, state.steps)
        trainer._period, trainer._sightings = state.period, state.sightings
        return trainer

    def _predict(self, batch: Batch) -> Floats:
        predicted = predict(self.config, self.dense, tables={**self.tables}, batch=batch)
        _check_finite(float(predicted.sum()), "predictions", batch)
        return predicted

    def _gradients(self, batch: Batch) -> "_Gradients":
        gathered = gather(self.config, {**self.tables}, batch, learn=True, device=self._device)
        total = self._loss(batch, gathered)
        _check_finite(total.item(), "loss", batch)
        total.backward()
        dense = self._adam.take_gradient()
        rows = {name: to_numpy(leaf.grad) for name, leaf in gathered.leaves.items() if leaf.grad is not None}
        _check_finite(float(sum(gradient.sum() for gradient in rows.values())), "gradient of its rows", batch)
        return _Gradients(dense, gathered.indexes, rows)

    def _learn_rows(self, found: "_Gradients") -> None:
        for name in TABLES:
            if name in found.rows:
                moves = found.rows[name].any(axis=1)
                self.tables[name].learn(found.indexes[name][moves], found.rows[name][moves])

    def _begin_batch(self, batch: Batch, new: Flags) -> None:
        """Count the sightings of new samples [B]; once per period, decay accumulators and expire old ids."""
        period = batch.at_ms // self.config.decay_ms
        if self._period >= 0:
            for _ in range(min(period - self._period, _MOST_PERIODS)):
                self._sightings *= self.config.tables()["item"].decay
                for table in self.tables.values():
                    table.decay()
        if period > self._period:
            for table in self.tables.values():
                table.expire(batch.at_ms)
        self._period = max(period, self._period)
        for name, ids in (("user", batch.users), ("item", batch.items), ("category", batch.categories)):
            self.tables[name].sight(ids[new], batch.at_ms)
        self._sightings += int(new.sum())

    def _loss(self, batch: Batch, gathered: Gathered) -> Tensor:
        inputs = to_device(batch.dense, self._device)
        rows = (
            gathered.rows
            if batch.learned_ahead is None
            else _stop_gradients(gathered, to_device(batch.learned_ahead, self._device))
        )
        outputs = forward(self.config, self.dense, rows=rows, inputs=inputs)
        shown = add_position_bias(self.dense, outputs, positions=to_device(batch.positions, self._device))
        # the heads' biases fit the counts of labels, all other parameters their weights
        bias = self.dense["head_bias"] - self.dense["head_bias"].detach()
        ranked = loss(self.config, shown - bias, batch=batch)
        ranked = ranked + bias_loss(self.config, shown.detach() + bias, batch=batch)
        ranked = ranked + light_loss(self.dense, inputs, outputs=outputs)
        return ranked + self.config.retrieval_weight * self._retrieval_loss(batch, gathered)

    def _retrieval_loss(self, batch: Batch, gathered: Gathered) -> Tensor:
        """Sampled softmax of clicked items against the batch's items that own a row.

        Items that the same user has clicked, in this batch or before, are not negatives.
        """
        table = self.tables["item"]
        owned = table.find(batch.items)
        drawn, first, back = np.unique(owned, return_index=True, return_inverse=True)
        kept = drawn != DEFAULT
        clicked = np.flatnonzero((batch.labels[:, SCORE] > 0) & (batch.weights[:, SCORE] > 0) & (owned != DEFAULT))
        if not len(clicked) or kept.sum() < 2:
            return torch.zeros((), device=self._device)
        kept_index = np.cumsum(kept) - 1
        expected = table.sightings(drawn[kept]) * (len(batch) / max(self._sightings, 1.0))
        pick, rows = to_device(first[kept], self._device), gathered.rows
        vectors = Vectors(rows.vectors.values[pick], rows.vectors.missing[pick])
        lifted = lift(self.config, self.dense, vectors)
        items = item_tower(self.dense, rows.item[pick], category=rows.category[pick], lift=lifted)
        one = to_device(clicked, self._device)
        chosen = structs.replace(rows, user=rows.user[one], past=rows.past[one], present=rows.present[one])
        users = user_tower(self.dense, chosen)
        targets = kept_index[back[clicked]]
        liked = _liked(batch, clicked, items=batch.items[first[kept]])
        liked[np.arange(len(clicked)), targets] = False
        similarity = (users @ items.T / self.config.temperature).masked_fill(to_device(liked, self._device), _NEVER)
        return softmax_loss(
            similarity,
            to_device(targets, self._device),
            # an item counts once however often it occurs: P(1 or more occurrences) of a Poisson variable
            log_drawn=to_device(np.log(-np.expm1(-np.maximum(expected, 1e-9))).astype(np.float32), self._device),
            weights=to_device(batch.weights[clicked, SCORE], self._device),
        )


def _liked(batch: Batch, clicked: Indexes, *, items: Ids) -> Flags:
    """Mark which of N items the users of P clicked rows have clicked, in the batch or in their history. [P, N]."""
    users = batch.users[clicked]
    in_batch = (users[:, None] == users)[:, :, None] & (batch.items[clicked][:, None] == items)[None]  # [P, P, N]
    in_history = (batch.history[clicked][:, :, None] == items).any(axis=1)
    return in_batch.any(axis=1) | in_history


def _check_finite(value: float, what: str, batch: Batch) -> None:
    if not math.isfinite(value):
        message = f"the {what} of a batch of {len(batch)} at {batch.at_ms} is {value}; inputs must be finite"
        raise FloatingPointError(message)


def initial_dense(config: RankerConfig, generator: np.random.Generator) -> dict[str, Floats]:
    """Return the dense tensors before the first sample: Glorot for matrices, zeros for biases and linear parts.

    Source: Glorot & Bengio 2010, eq. 16. A tenth of it for `head` and the up-projections of cross layers, so that
    the first predictions are nearly equal and a cross layer starts as the identity.
    """
    dense = blank_dense(config.shapes())
    for name, values in dense.items():
        if name == "attend_out" or (values.ndim == 2 and name not in _FROM_ZERO):
            limit = np.sqrt(6 / sum(values.shape)) * (0.1 if name == "head" or name.endswith("_up") else 1.0)
            values[:] = generator.uniform(-limit, limit, values.shape)
    return dense
