"""Item and user vectors of a model that learns: MovieTweetings, with its films multiplied to a catalogue of any size.

The product's trainer learns the log once, and then again, a minute after the other. Many items come from each film.
An item has the film's embedding row as of the last minute that changed it, and a small difference that is its own; the
towers' weights are those of the current minute. So all vectors move each minute, as in serving, and those of changed
items also by what the row learned.
"""

import numpy as np
import torch

from headrace.models.array_types import Floats, Ids, Indexes
from headrace.models.ranker import forward_numpy
from headrace.models.ranker.batch import Batch
from headrace.models.ranker.config import RankerConfig
from headrace.models.ranker.inputs import DENSE
from headrace.models.ranker.state import ModelState
from headrace.models.ranker.training import Trainer
from headrace.replay.recordings import Recording
from headrace.schemas.ids import hash64
from headrace.schemas.model.heads import SCORE, SHIPPED_HEADS

_BATCH = 64  # the learner's default
_OWN = 0.6  # spread of an item's own difference, times the spread of the films' rows
_AT_MS = 1_700_000_000_000


class LearnedLog:
    """A log, and a trainer that learns it in order and begins again at the end."""

    def __init__(self, recording: Recording, config: RankerConfig) -> None:
        torch.set_num_threads(1)
        category_of = {item.item_id: item.category for item in recording.items}
        visits = recording.visits
        self.users = np.array([hash64(visit.user_id) for visit in visits])
        self.items = np.array([hash64(visit.item_id) for visit in visits])
        self.categories = np.array([hash64(category_of[visit.item_id]) for visit in visits])
        self.histories = _histories(self.users, self.items, config.history)
        self._config = config
        self._trainer = Trainer(config, np.random.default_rng(0))
        self._next = 0

    def learn(self, count: int) -> ModelState:
        """Learn the next rows, and return the model as serving would have it."""
        for first in range(self._next, self._next + count, _BATCH):
            rows = np.arange(first, min(first + _BATCH, self._next + count)) % len(self.items)
            self._trainer.learn(self._batch(rows))
        self._next += count
        return ModelState.from_training_state(self._config, self._trainer.state(), version="1.1")

    def _batch(self, rows: Indexes) -> Batch:
        size = len(rows)
        click = np.zeros((size, len(SHIPPED_HEADS.names)), np.float32)
        click[:, SCORE] = 1
        none = np.zeros_like(click)
        return Batch(
            users=self.users[rows],
            items=self.items[rows],
            categories=self.categories[rows],
            history=self.histories[rows],
            dense=np.zeros((size, len(DENSE)), np.float32),
            positions=np.zeros(size, np.int64),
            labels=click,
            weights=click,
            undo=none,
            counts=click,
            uncounts=none,
            at_ms=_AT_MS,
        )


class MovingItems:
    """A catalogue of `count` items that follows a model; a minute changes a share of its items."""

    def __init__(self, log: LearnedLog, model: ModelState, *, count: int, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        films, first = np.unique(log.items, return_index=True)
        self._film_ids, self._categories = films, log.categories[first]
        self._films = np.sort(np.arange(count) % len(films))
        self.ids: Ids = np.sort(self._rng.permutation(8 * count)[:count])
        rows = self._film_rows(model)
        self._own = (
            self._rng.normal(0, _OWN, (count, model.config.dim)).astype(np.float32) * rows[:, model.config.lead :].std()
        )
        self._rows = rows[self._films]
        self._log, self._model, self._next_id = log, model, 8 * count

    def follow(self, model: ModelState, *, changed: float, replaced: float) -> None:
        """Take a new model: the towers at once, its rows for a share of the items; others leave, as many are born."""
        self._model = model
        some = np.flatnonzero(self._rng.random(len(self.ids)) < changed)
        self._rows[some] = self._film_rows(model)[self._films[some]]
        new = np.flatnonzero(self._rng.random(len(self.ids)) < replaced)
        kept = np.setdiff1d(np.arange(len(self.ids)), new)
        self.ids = np.concatenate([self.ids[kept], self._next_id + np.arange(len(new))])
        self._next_id += len(new)
        self._rows, self._own, self._films = (
            np.concatenate([part[kept], part[new]]) for part in (self._rows, self._own, self._films)
        )

    def vectors(self) -> Floats:
        """The vectors of all items [N, V]."""
        rows = self._rows.copy()
        rows[:, self._model.config.lead :] += self._own
        table = self._model.tables["category"]
        categories = table.rows(table.find(self._categories))[self._films]
        return forward_numpy.item_vectors(self._model.dense, rows, categories=categories, lift=None)

    def users(self, count: int) -> Floats:
        """The vectors of users drawn from the rows of the log, with the history that they had there [U, V]."""
        rows = self._rng.integers(0, len(self._log.users), count)
        users, histories = self._log.users[rows], self._log.histories[rows]
        return np.array([self._model.user_vector(int(user), past) for user, past in zip(users, histories, strict=True)])

    def _film_rows(self, model: ModelState) -> Floats:
        table = model.tables["item"]
        return table.rows(table.find(self._film_ids))


def _histories(users: Ids, items: Ids, slots: int) -> Ids:
    """What each user had clicked before each row, newest first. [R, L]."""
    histories, clicked = np.zeros((len(users), slots), np.int64), dict[int, list[int]]()
    for row, (user, item) in enumerate(zip(users.tolist(), items.tolist(), strict=True)):
        past = clicked.setdefault(user, [])
        histories[row, : len(past)] = past
        clicked[user] = [item, *past][:slots]
    return histories
