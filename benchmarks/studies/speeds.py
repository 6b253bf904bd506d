"""Samples a second of the rankers and Vowpal Wabbit, told and learnt, timed in turns; look-ups; what a GPU adds."""

from collections.abc import Callable, Mapping
from functools import partial
from itertools import cycle

import numpy as np
import torch
from msgspec import Struct

from benchmarks.harness.interleaved import Times, clocked, in_turns
from benchmarks.inputs.recorded_rows import Stream
from benchmarks.inputs.trained_rows import ids_of
from benchmarks.peers.light_ranker import Light
from benchmarks.peers.wabbit_peer import Wabbit
from learner.collate import Collator
from models.array_types import Floats
from models.batch import Batch
from models.config import RankerConfig
from models.device import HOST
from models.index import Index
from models.index_numpy import NumpyIndex
from models.index_torch import TorchIndex
from models.table import Table
from models.training import Trainer

_BATCHES = (64, 2_048)
_ASKED = 100_000
_AT_MS = 1_800_000_000_000
_SEARCH, _ITEMS = "exact searches among", 1_000_000
_MANNERS = {"numbers": "VW, from numbers", "text": "VW, from text", "examples": "VW, examples made before"}


class Speed(Struct, frozen=True):
    """How many a second at the median time, and what is aimed at."""

    name: str
    per_s: int
    aim: int | None
    times: Times


def speeds(stream: Stream, peer: Wabbit, *, rounds: int, ids: int) -> list[Speed]:
    """All contenders in turns; a call handles as many samples as the larger batch has."""
    count = min(_BATCHES[-1], len(stream.samples))
    collator = Collator(RankerConfig().history)
    batches = [
        collator.batch(stream.samples[first : first + count], stream.samples[first].known_at)
        for first in range(0, len(stream.samples) - count + 1, count)
    ]
    table, asked = _table(ids)
    contenders: dict[str, Callable[[], float]] = {
        **{f"light ranker, batches of {size}": clocked(_light(batches[-1], size)) for size in _BATCHES},
        **{name: lambda manner=manner: peer.learn_ms(manner, count) for manner, name in _MANNERS.items()},
        f"full ranker, batches of {count}": clocked(_full(batches)),
        f"look-ups among {ids} rows": clocked(lambda: table.find(next(asked))),
        **_on_gpu(batches),
    }
    aims = dict(zip(contenders, (None, 100_000, None, None, None, 30_000, 1_000_000), strict=False))
    times = in_turns(contenders, rounds=rounds, seed=1)
    amounts: Mapping[str, int] = dict.fromkeys(contenders, count) | {f"look-ups among {ids} rows": _ASKED}
    amounts = {**amounts, **{name: 1 for name in contenders if name.startswith(_SEARCH)}}
    rates = {name: round(amounts[name] / each.p50_ms * 1000) for name, each in times.items()}
    return [Speed(name, rates[name], aims.get(name), each) for name, each in times.items()]


def _light(batch: Batch, size: int) -> Callable[[], list[Floats]]:
    ranker, labels = Light(seed=0), np.ascontiguousarray(batch.labels[:, 0])
    parts = [slice(first, first + size) for first in range(0, len(batch), size)]
    return lambda: [ranker.take(batch.dense[part], labels[part]) for part in parts]


def _on_gpu(batches: list[Batch]) -> dict[str, Callable[[], float]]:
    """The full ranker on the GPU and exact searches of 80 on both; nothing where there is no GPU."""
    if not torch.cuda.is_available():
        return {}
    config, generator, device = RankerConfig(), np.random.default_rng(2), torch.device("cuda")
    vectors = generator.normal(0, 1, (_ITEMS, config.vector)).astype(np.float32)
    ids, user = np.arange(_ITEMS), vectors[0]
    found: dict[str, Index] = {"CPU": NumpyIndex(ids, vectors), "GPU": TorchIndex(ids, vectors, device)}
    return {
        f"full ranker on the GPU, batches of {len(batches[0])}": clocked(_full(batches, device)),
        **{f"{_SEARCH} {_ITEMS} items, {name}": clocked(partial(of.search, user, 80)) for name, of in found.items()},
    }


def _full(batches: list[Batch], device: torch.device = HOST) -> Callable[[], Floats]:
    trainer, turns = Trainer(RankerConfig(), np.random.default_rng(0), device), cycle(batches)
    for batch in batches:  # so that ids own rows
        trainer.learn(batch)
    return lambda: trainer.learn(next(turns))


def _table(count: int) -> "tuple[Table, cycle[np.ndarray]]":
    """A table whose ids all own a row, and ids to ask for at random."""
    table, ids = Table(RankerConfig().tables()["category"], capacity=count + 1), ids_of(count)
    table.sight(ids, _AT_MS)
    rng = np.random.default_rng(1)
    return table, cycle([ids[rng.integers(0, count, _ASKED)] for _ in range(7)])
