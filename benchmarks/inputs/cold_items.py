"""Progressive evaluation on a simulated feed, with metrics of new items."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from msgspec import Struct, structs

from headrace.evaluation import metrics
from headrace.learner.samples.collate import Collator
from headrace.models.array_types import Doubles, Flags, Floats, Ids
from headrace.models.content.vectors import Content
from headrace.models.ranker.batch import Batch
from headrace.models.ranker.config import RankerConfig
from headrace.models.ranker.items import Items
from headrace.models.ranker.state import ModelState
from headrace.models.ranker.training import Trainer, predict
from headrace.models.tables.rowset import RowSource
from headrace.schemas.model.heads import SCORE
from headrace.schemas.samples import Sample

NEW_BELOW = 5  # an item is new until it has been shown in this many slots
_REFRESH = 1_024  # slots between two refreshes of the index
_BATCH = 64
_CLICK = SCORE
Numbers = dict[str, float]
ContentMask = Callable[[Content], Content]
"""Hides modalities from prediction; learning sees them all."""


class _Predictions(Struct, frozen=True):
    """The scored slots (N,): labels, slates, whether the item was new, and the predicted chances by mask."""

    labels: Doubles
    slates: list[str]
    new: Flags
    chances: dict[str, Doubles]


def evaluate_masked(
    slots: Sequence[Sample], config: RankerConfig, *, seed: int, masks: Mapping[str, ContentMask], from_share: float
) -> dict[str, Numbers]:
    """Metrics of one model that learns from all slots, by the name of a mask; scored from `from_share` of them on."""
    trainer, collator = Trainer(config, np.random.default_rng(seed)), Collator(config)
    first, new, index = round(len(slots) * from_share), _newness(slots), _Index(slots, collator)
    chances: dict[str, list[Doubles]] = {name: [] for name in masks}
    rank_figures: dict[str, list[tuple[float, float]]] = {name: [] for name in masks}
    for start in range(0, len(slots), _BATCH):
        batch = collator.batch(slots[start : start + _BATCH], slots[start].served_at)
        for name, mask in masks.items() if start >= first else ():
            seen = _apply_mask(batch, mask)
            if start % _REFRESH == 0 or not index.has(name):
                index.refresh(name, trainer, until=start + _REFRESH, mask=mask)
            chances[name].append(_click_chances(trainer, seen))
            rank_figures[name] += index.rank_shares(
                name, seen, wanted=new[start : start + _BATCH] & (batch.labels[:, _CLICK] > 0)
            )
        trainer.learn(batch)
    start = len(slots) - sum(len(part) for part in next(iter(chances.values())))
    scored = slots[start:]
    predictions = _Predictions(
        labels=np.array([slot.click for slot in scored], np.float64),
        slates=[slot.request_id for slot in scored],
        new=new[start:],
        chances={name: np.concatenate(parts) for name, parts in chances.items()},
    )
    found = {name: np.mean(rank_shares, axis=0).tolist() for name, rank_shares in rank_figures.items()}
    return {
        name: {**figures, "near": found[name][0], "near_new": found[name][1]} for name, figures in _figures(predictions)
    }


class _Snapshot(Struct, frozen=True):
    """A model and the items at one time: ids (N,), vectors (N, V), and which of them were new."""

    model: ModelState
    ids: Ids
    vectors: Floats
    new: Flags


class _Index:
    """Retrieval vectors of the items shown so far, as serving would search them."""

    def __init__(self, slots: Sequence[Sample], collator: Collator) -> None:
        whole = collator.batch(slots, 0)
        _, self._first = np.unique(whole.items, return_index=True)
        self._first.sort()  # in the order in which the items appeared
        content = None if whole.content is None else whole.content.take(self._first)
        self._items = Items(whole.items[self._first], whole.categories[self._first], content)
        self._of = whole.items
        self._snapshots: dict[str, _Snapshot] = {}

    def has(self, name: str) -> bool:
        """Whether there is a snapshot of this name."""
        return name in self._snapshots

    def refresh(self, name: str, trainer: Trainer, *, until: int, mask: ContentMask) -> None:
        """Recompute the vectors of the items that were shown before slot `until`."""
        count, items = int(self._first.searchsorted(until)), self._items
        content = None if items.content is None else mask(items.content.take(np.arange(count)))
        known = Items(items.ids[:count], items.categories[:count], content)
        model = ModelState.from_training_state(trainer.config, trainer.state(), version="")
        ids, shown = np.unique(self._of[: max(until - _REFRESH, 0)], return_counts=True)
        new = ~np.isin(known.ids, ids[shown >= NEW_BELOW])
        self._snapshots[name] = _Snapshot(model, known.ids, model.item_vectors(known), new)

    def rank_shares(self, name: str, batch: Batch, *, wanted: Flags) -> list[tuple[float, float]]:
        """Share of all items, and of the new ones, that rank below the item of each wanted slot."""
        snapshot, found = self._snapshots[name], list[tuple[float, float]]()
        for row in np.flatnonzero(wanted).tolist():
            products = snapshot.vectors @ snapshot.model.user_vector(int(batch.users[row]), batch.history[row])
            product = products[np.flatnonzero(snapshot.ids == batch.items[row])[0]]
            found.append((_share_below(products, product), _share_below(products[snapshot.new], product)))
        return found


def _click_chances(trainer: Trainer, batch: Batch) -> Doubles:
    tables: dict[str, RowSource] = {**trainer.tables}
    return predict(trainer.config, trainer.dense, tables=tables, batch=batch)[:, _CLICK].astype(np.float64)


def _apply_mask(batch: Batch, mask: ContentMask) -> Batch:
    return batch if batch.content is None else structs.replace(batch, content=mask(batch.content))


def _newness(slots: Sequence[Sample]) -> Flags:
    """Whether the item of each slot had been shown in fewer than `NEW_BELOW` slots. (N,)."""
    shown, new = Counter[str](), list[bool]()
    for slot in slots:
        new.append(shown[slot.item_id] < NEW_BELOW)
        shown[slot.item_id] += 1
    return np.array(new)


def _figures(predictions: _Predictions) -> Iterator[tuple[str, Numbers]]:
    for name, chances in predictions.chances.items():
        whole = {figure: each.value for figure, each in metrics.chance_metrics(chances, predictions.labels).items()}
        new = metrics.auc(chances[predictions.new], predictions.labels[predictions.new]).value
        rank = float(np.mean(_ranks(predictions, chances)))
        yield name, {**whole, "new_auc": new, "rank": rank, "new_share": float(predictions.new.mean())}


def _ranks(predictions: _Predictions, chances: Doubles) -> list[float]:
    """For each clicked slot of a new item, the share of the other slots of its slate that rank below it."""
    rows: dict[str, list[int]] = {}
    for row, slate in enumerate(predictions.slates):
        rows.setdefault(slate, []).append(row)
    clicked = np.flatnonzero(predictions.new & (predictions.labels > 0)).tolist()
    return [_share_below(chances[rows[predictions.slates[row]]], chances[row]) for row in clicked]


def _share_below(scores: np.ndarray, score: float) -> float:
    """Share of the other scores that are below one of them; a tie counts half."""
    below, equal = (scores < score).sum(), (scores == score).sum() - 1
    return float((below + equal / 2) / max(len(scores) - 1, 1))
