"""A simulated feed told slot by slot and then learnt, and how new items fare on the way."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from msgspec import Struct, structs

from headrace.evaluation import metrics
from learner.collate import Collator
from models.array_types import Doubles, Flags, Floats, Ids
from models.batch import Batch
from models.config import RankerConfig
from models.content import Content
from models.items import Items
from models.rowset import RowSource
from models.state import ModelState
from models.training import Trainer, predict
from schemas.samples import HEADS, Sample

NEW_BELOW = 5  # slots that an item was shown in before
_LOOK = 1_024  # slots between two looks of the index
_BATCH = 64
_CLICK = HEADS.index("click")
Numbers = dict[str, float]
Blind = Callable[[Content], Content]
"""Hides modalities from who tells; learning sees them."""


class _Told(Struct, frozen=True):
    """Of the slots scored (N,): labels, the slate, whether the item was new, and the chances told."""

    labels: Doubles
    slates: list[str]
    new: Flags
    chances: dict[str, Doubles]


def follow(
    slots: Sequence[Sample], config: RankerConfig, *, seed: int, blinds: Mapping[str, Blind], from_share: float
) -> dict[str, Numbers]:
    """Figures by the name of a blind, of one model that learns all; from `from_share` of the slots on they count."""
    trainer, collator = Trainer(config, np.random.default_rng(seed)), Collator(config.history, config.modalities)
    first, new, index = round(len(slots) * from_share), _newness(slots), _Index(slots, collator)
    chances: dict[str, list[Doubles]] = {name: [] for name in blinds}
    near: dict[str, list[tuple[float, float]]] = {name: [] for name in blinds}
    for start in range(0, len(slots), _BATCH):
        batch = collator.batch(slots[start : start + _BATCH], slots[start].served_at)
        for name, blind in blinds.items() if start >= first else ():
            seen = _blinded(batch, blind)
            if start % _LOOK == 0 or not index.has(name):
                index.look(name, trainer, until=start + _LOOK, blind=blind)
            chances[name].append(_chances(trainer, seen))
            near[name] += index.places(name, seen, wanted=new[start : start + _BATCH] & (batch.labels[:, _CLICK] > 0))
        trainer.learn(batch)
    start = len(slots) - sum(len(part) for part in next(iter(chances.values())))
    scored = slots[start:]
    told = _Told(
        labels=np.array([slot.click for slot in scored], np.float64),
        slates=[slot.request_id for slot in scored],
        new=new[start:],
        chances={name: np.concatenate(parts) for name, parts in chances.items()},
    )
    found = {name: np.mean(places, axis=0).tolist() for name, places in near.items()}
    return {name: {**figures, "near": found[name][0], "near_new": found[name][1]} for name, figures in _figures(told)}


class _Look(Struct, frozen=True):
    """A model, and the items of that moment: ids (N,), vectors (N, V), which of them were new."""

    model: ModelState
    ids: Ids
    vectors: Floats
    new: Flags


class _Index:
    """Retrieval vectors of all items shown so far, as serving would search them."""

    def __init__(self, slots: Sequence[Sample], collator: Collator) -> None:
        whole = collator.batch(slots, 0)
        _, self._first = np.unique(whole.items, return_index=True)
        self._first.sort()  # in the order in which items came
        content = None if whole.content is None else whole.content.take(self._first)
        self._items = Items(whole.items[self._first], whole.categories[self._first], content)
        self._of = whole.items
        self._looks: dict[str, _Look] = {}

    def has(self, name: str) -> bool:
        """Whether it was looked at under this name."""
        return name in self._looks

    def look(self, name: str, trainer: Trainer, *, until: int, blind: Blind) -> None:
        """Take the vectors anew, of the items that come before slot `until`."""
        count, items = int(self._first.searchsorted(until)), self._items
        content = None if items.content is None else blind(items.content.take(np.arange(count)))
        known = Items(items.ids[:count], items.categories[:count], content)
        model = ModelState.from_training_state(trainer.config, trainer.state(), version="")
        ids, shown = np.unique(self._of[: max(until - _LOOK, 0)], return_counts=True)
        new = ~np.isin(known.ids, ids[shown >= NEW_BELOW])
        self._looks[name] = _Look(model, known.ids, model.item_vectors(known), new)

    def places(self, name: str, batch: Batch, *, wanted: Flags) -> list[tuple[float, float]]:
        """Share of all items, and of the new ones, that a wanted slot's item stands before by its user's vector."""
        look, found = self._looks[name], list[tuple[float, float]]()
        for row in np.flatnonzero(wanted).tolist():
            products = look.vectors @ look.model.user_vector(int(batch.users[row]), batch.history[row])
            mine = products[np.flatnonzero(look.ids == batch.items[row])[0]]
            found.append((_place(products, mine), _place(products[look.new], mine)))
        return found


def _chances(trainer: Trainer, batch: Batch) -> Doubles:
    tables: dict[str, RowSource] = {**trainer.tables}
    return predict(trainer.config, trainer.dense, tables=tables, batch=batch)[:, _CLICK].astype(np.float64)


def _blinded(batch: Batch, blind: Blind) -> Batch:
    return batch if batch.content is None else structs.replace(batch, content=blind(batch.content))


def _newness(slots: Sequence[Sample]) -> Flags:
    """Whether an item had been shown in fewer than `NEW_BELOW` slots. (N,)."""
    shown, new = Counter[str](), list[bool]()
    for slot in slots:
        new.append(shown[slot.item_id] < NEW_BELOW)
        shown[slot.item_id] += 1
    return np.array(new)


def _figures(told: _Told) -> Iterator[tuple[str, Numbers]]:
    for name, chances in told.chances.items():
        whole = {figure: each.value for figure, each in metrics.of_chances(chances, told.labels).items()}
        new = metrics.auc(chances[told.new], told.labels[told.new]).value
        rank = float(np.mean(_ranks(told, chances)))
        yield name, {**whole, "new_auc": new, "rank": rank, "new_share": float(told.new.mean())}


def _ranks(told: _Told, chances: Doubles) -> list[float]:
    """Of each clicked slot of a new item, the share of its slate's other slots that it stands before."""
    rows: dict[str, list[int]] = {}
    for row, slate in enumerate(told.slates):
        rows.setdefault(slate, []).append(row)
    clicked = np.flatnonzero(told.new & (told.labels > 0)).tolist()
    return [_place(chances[rows[told.slates[row]]], chances[row]) for row in clicked]


def _place(scores: np.ndarray, mine: float) -> float:
    """Share of the other scores below one of them, ties shared."""
    below, equal = (scores < mine).sum(), (scores == mine).sum() - 1
    return float((below + equal / 2) / max(len(scores) - 1, 1))
