"""What scoring a slate's candidates takes in numpy, by how vectors are joined."""

from collections.abc import Callable, Mapping

import numpy as np

from benchmarks.harness.interleaved import Times, clocked, in_turns
from models.config import STATISTICS, RankerConfig
from models.content import Content
from models.inputs import DENSE
from models.items import Items
from models.rowset import RowSet
from models.state import ModelState

_CANDIDATES = 260
_ROWS = 5_000
_LACKING = 0.15


def times(configs: Mapping[str, RankerConfig], *, rounds: int) -> dict[str, Times]:
    """Of one slate each, in turns."""
    return in_turns({name: clocked(_scoring(config)) for name, config in configs.items()}, rounds=rounds, seed=1)


def _scoring(config: RankerConfig) -> Callable[[], object]:
    rng, ids = np.random.default_rng(0), np.arange(_ROWS, dtype=np.int64)
    empty = ModelState.empty(config)
    learnt = {name: rng.normal(0, 0.1, of.shape).astype(np.float32) for name, of in empty.dense.items()}
    learnt |= {name: empty.dense[name] for name in STATISTICS}
    rows = {
        name: RowSet.from_values(ids, rng.normal(0, 0.1, (_ROWS, config.width)).astype(np.float32))
        for name in empty.tables
    }
    model = ModelState(config=config, tables=rows, dense=learnt)
    widths = [each.width for each in config.modalities]
    values = rng.normal(0, 0.2, (_CANDIDATES, sum(widths))).astype(np.float32)
    content = Content(values, rng.random((_CANDIDATES, len(widths))) < _LACKING) if widths else None
    items = Items(rng.integers(1, _ROWS, _CANDIDATES), rng.integers(1, 40, _CANDIDATES), content)
    inputs = rng.normal(0, 1, (_CANDIDATES, len(DENSE))).astype(np.float32)
    history = rng.integers(1, _ROWS, config.history)
    return lambda: model.score(7, history, items=items, inputs=inputs)
