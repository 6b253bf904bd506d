"""The model as serving holds it: immutable; each version creates a new one, off the request path."""

import numpy as np
from msgspec import Struct

from headrace.models.array_types import Floats, Ids
from headrace.models.content.vectors import ContentLayout
from headrace.models.ranker import forward_numpy
from headrace.models.ranker.arrays import TrainingState, blank_dense
from headrace.models.ranker.config import TABLES, RankerConfig
from headrace.models.ranker.forward_numpy import Scores
from headrace.models.ranker.fusion_numpy import lift
from headrace.models.ranker.items import Items
from headrace.models.tables.rowset import RowSet
from headrace.schemas.versions.delta import Delta
from headrace.schemas.versions.row_codec import Coding


class ModelState(Struct, frozen=True, kw_only=True):
    """One version of the model. `version` is `epoch.seq`, empty before the first."""

    config: RankerConfig
    tables: dict[str, RowSet]
    dense: dict[str, Floats]
    version: str = ""

    @classmethod
    def empty(cls, config: RankerConfig) -> "ModelState":
        """Create a model that gives every candidate the same score; the first version of an epoch fills it."""
        return cls(
            config=config,
            tables={name: RowSet.empty(config.width) for name in TABLES},
            dense=blank_dense(config.shapes()),
        )

    @classmethod
    def from_training_state(
        cls, config: RankerConfig, state: TrainingState, *, version: str, coding: Coding = "int8"
    ) -> "ModelState":
        """Create the model of a reader that has applied all versions up to `version`, where the state was taken."""
        tables: dict[str, RowSet] = {}
        for name, table in state.tables.items():
            used = table.ids != 0
            used[0] = True
            lead = config.tables()[name].lead
            tables[name] = RowSet.from_published(table.ids[used], table.rows[used], lead=lead, coding=coding)
        return cls(config=config, tables=tables, dense=state.dense, version=version)

    def apply(self, delta: Delta) -> "ModelState":
        """Return the model with a verified version's rows and tensors; this one does not change.

        Raises:
            ValueError: a table or tensor does not have the name or shape of the settings.
        """
        fresh = not delta.manifest.parent
        before = {name: RowSet.empty(self.config.width) for name in TABLES} if fresh else self.tables
        shapes = self.config.shapes()
        for name, values in delta.update.dense.items():
            if values.shape != shapes.get(name):
                message = f"tensor {name} is {values.shape}, the settings say {shapes.get(name)}"
                raise ValueError(message)
        if unknown := delta.update.tables.keys() - before.keys():
            message = f"tables {sorted(unknown)} are unknown; the tables are {TABLES}"
            raise ValueError(message)
        changed = {name: before[name].apply(update) for name, update in delta.update.tables.items()}
        return ModelState(
            config=self.config,
            tables={**before, **changed},
            dense={**self.dense, **delta.update.dense},
            version=delta.manifest.version,
        )

    def score(self, user_id: int, history: Ids, *, items: Items, inputs: Floats) -> Scores:
        """Score one user's candidates as if each were shown at the top.

        Args:
            user_id: 0 if unknown.
            history: the user's last items [n], newest first; only the first L count.
            items: the candidates, C of them.
            inputs: dense inputs [C, F], from `inputs.assemble`.
        """
        past = forward_numpy.recent_items(history, self.config.history)
        part = forward_numpy.gather_rows(self.tables, user_id=user_id, past=past, items=items, lead=self.config.lead)
        return forward_numpy.score(self.config, self.dense, part=part, inputs=inputs)

    def score_light(self, inputs: Floats) -> Floats:
        """Predict the score head's probabilities from dense inputs alone, for degraded serving. [C, F] -> [C]."""
        return forward_numpy.score_light(self.dense, inputs)

    def user_vector(self, user_id: int, history: Ids) -> Floats:
        """Return the user's retrieval vector [V], of length 1."""
        return forward_numpy.user_vector(self.dense, self._row("user", user_id), past=self._past(history))

    def item_vectors(self, items: Items) -> Floats:
        """Return the retrieval vectors of N items, each of length 1. -> [N, V]."""
        modalities, content = self.config.modalities, items.content
        content = content or (ContentLayout(modalities).blank(len(items.ids)) if modalities else None)
        rows, categories = self._rows("item", items.ids), self._rows("category", items.categories)
        return forward_numpy.item_vectors(
            self.dense, rows, categories=categories, lift=lift(self.config, self.dense, content)
        )

    def _row(self, table: str, id_: int) -> Floats:
        return self._rows(table, np.array([id_], np.int64))[0]

    def _rows(self, table: str, ids: Ids) -> Floats:
        rows = self.tables[table]
        return rows.rows(rows.find(ids))

    def _past(self, history: Ids) -> Floats:
        rows = self._rows("item", forward_numpy.recent_items(history, self.config.history))
        return rows[:, self.config.lead :]
