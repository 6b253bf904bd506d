"""Samples per second of the rankers and Vowpal Wabbit (predict and learn), look-ups per second, and speeds on a GPU."""

from collections.abc import Callable, Mapping
from functools import partial
from itertools import cycle

import numpy as np
import torch
from msgspec import Struct

from benchmarks.harness.interleaved import Times, time_interleaved, timed
from benchmarks.inputs.recorded_rows import Stream
from benchmarks.inputs.trained_rows import make_ids
from benchmarks.peers.light_ranker import LightRanker
from benchmarks.peers.wabbit_peer import Wabbit
from headrace.learner.samples.collate import Collator
from headrace.models.array_types import Floats
from headrace.models.device import HOST
from headrace.models.index.exact import NumpyIndex
from headrace.models.index.protocol import Index
from headrace.models.index.torch_index import TorchIndex
from headrace.models.ranker.batch import Batch
from headrace.models.ranker.config import RankerConfig
from headrace.models.ranker.training import Trainer
from headrace.models.tables.table import Table

_BATCHES = (64, 2_048)
_LIGHT_AIM, _FULL_AIM, _TABLE_AIM = 100_000, 30_000, 1_000_000  # per second
_ASKED = 100_000
_AT_MS = 1_800_000_000_000
_SEARCH, _ITEMS = "exact searches among", 1_000_000
_MANNERS = {"numbers": "VW, from numbers", "text": "VW, from text", "examples": "VW, examples made before"}


class Speed(Struct, frozen=True):
    """Amount per second at the median time, and the aim."""

    name: str
    per_s: int
    aim: int | None
    times: Times


def speeds(stream: Stream, peer: Wabbit, *, rounds: int, ids: int) -> list[Speed]:
    """Time all contenders, interleaved; each call handles as many samples as the larger batch has."""
    count = min(_BATCHES[-1], len(stream.samples))
    collator = Collator(RankerConfig())
    batches = [
        collator.batch(stream.samples[first : first + count], stream.samples[first].known_at)
        for first in range(0, len(stream.samples) - count + 1, count)
    ]
    table, asked = _table(ids)
    full, look_ups = f"full ranker, batches of {count}", f"look-ups among {ids} rows"
    contenders: dict[str, Callable[[], float]] = {
        **{f"light ranker, batches of {size}": timed(_light(batches[-1], size)) for size in _BATCHES},
        **{name: lambda manner=manner: peer.learn_ms(manner, count) for manner, name in _MANNERS.items()},
        full: timed(_full(batches)),
        look_ups: timed(lambda: table.find(next(asked))),
        **_on_gpu(batches),
    }
    aims = {f"light ranker, batches of {count}": _LIGHT_AIM, full: _FULL_AIM, look_ups: _TABLE_AIM}
    times = time_interleaved(contenders, rounds=rounds, seed=1)
    amounts: Mapping[str, int] = dict.fromkeys(contenders, count) | {look_ups: _ASKED}
    amounts = {**amounts, **{name: 1 for name in contenders if name.startswith(_SEARCH)}}
    rates = {name: round(amounts[name] / each.p50_ms * 1000) for name, each in times.items()}
    return [Speed(name, rates[name], aims.get(name), each) for name, each in times.items()]


def _light(batch: Batch, size: int) -> Callable[[], list[Floats]]:
    ranker, labels = LightRanker(seed=0), np.ascontiguousarray(batch.labels[:, 0])
    parts = [slice(first, first + size) for first in range(0, len(batch), size)]
    return lambda: [ranker.predict_and_learn(batch.dense[part], labels[part]) for part in parts]


def _on_gpu(batches: list[Batch]) -> dict[str, Callable[[], float]]:
    """The full ranker on the GPU, and exact searches for 80 items on CPU and GPU; empty without a GPU."""
    if not torch.cuda.is_available():
        return {}
    config, generator, device = RankerConfig(), np.random.default_rng(2), torch.device("cuda")
    vectors = generator.normal(0, 1, (_ITEMS, config.vector)).astype(np.float32)
    ids, user = np.arange(_ITEMS), vectors[0]
    found: dict[str, Index] = {"CPU": NumpyIndex(ids, vectors), "GPU": TorchIndex(ids, vectors, device)}
    return {
        f"full ranker on the GPU, batches of {len(batches[0])}": timed(_full(batches, device)),
        **{
            f"{_SEARCH} {_ITEMS} items, {name}": timed(partial(index.search, user, 80)) for name, index in found.items()
        },
    }


def _full(batches: list[Batch], device: torch.device = HOST) -> Callable[[], Floats]:
    trainer, turns = Trainer(RankerConfig(), np.random.default_rng(0), device), cycle(batches)
    for batch in batches:  # so that all ids have rows
        trainer.learn(batch)
    return lambda: trainer.learn(next(turns))


def _table(count: int) -> "tuple[Table, cycle[np.ndarray]]":
    """A table in which every id has a row, and random ids to look up."""
    table, ids = Table(RankerConfig().tables()["category"], capacity=count + 1), make_ids(count)
    table.sight(ids, _AT_MS)
    rng = np.random.default_rng(1)
    return table, cycle([ids[rng.integers(0, count, _ASKED)] for _ in range(7)])
