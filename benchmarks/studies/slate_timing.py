"""Time to score the candidates of a slate in numpy, by the fusion of item vectors."""

from collections.abc import Callable, Mapping

import numpy as np

from benchmarks.harness.interleaved import Times, time_interleaved, timed
from headrace.models.content.vectors import Content
from headrace.models.ranker.config import STATISTICS, RankerConfig
from headrace.models.ranker.inputs import DENSE
from headrace.models.ranker.items import Items
from headrace.models.ranker.state import ModelState
from headrace.models.tables.rowset import RowSet

_CANDIDATES = 260
_ROWS = 5_000
_MISSING = 0.15


def time_slates(configs: Mapping[str, RankerConfig], *, rounds: int) -> dict[str, Times]:
    """Time one slate of each config, interleaved."""
    return time_interleaved({name: timed(_scoring(config)) for name, config in configs.items()}, rounds=rounds, seed=1)


def _scoring(config: RankerConfig) -> Callable[[], object]:
    rng, ids = np.random.default_rng(0), np.arange(_ROWS, dtype=np.int64)
    empty = ModelState.empty(config)
    dense = {name: rng.normal(0, 0.1, tensor.shape).astype(np.float32) for name, tensor in empty.dense.items()}
    dense |= {name: empty.dense[name] for name in STATISTICS}
    rows = {
        name: RowSet.from_values(ids, rng.normal(0, 0.1, (_ROWS, config.width)).astype(np.float32))
        for name in empty.tables
    }
    model = ModelState(config=config, tables=rows, dense=dense)
    widths = [each.width for each in config.modalities]
    values = rng.normal(0, 0.2, (_CANDIDATES, sum(widths))).astype(np.float32)
    content = Content(values, rng.random((_CANDIDATES, len(widths))) < _MISSING) if widths else None
    items = Items(rng.integers(1, _ROWS, _CANDIDATES), rng.integers(1, 40, _CANDIDATES), content)
    inputs = rng.normal(0, 1, (_CANDIDATES, len(DENSE))).astype(np.float32)
    history = rng.integers(1, _ROWS, config.history)
    return lambda: model.score(7, history, items=items, inputs=inputs)
