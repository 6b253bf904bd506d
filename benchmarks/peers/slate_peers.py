"""What both peers of `benchmarks/slates.py` answer from: the product's model, and Redis as each expects it."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import redis
from msgspec import Struct

from headrace.models.array_types import Floats, Ids
from headrace.models.ranker.config import RankerConfig
from headrace.models.ranker.inputs import DENSE
from headrace.models.ranker.items import Items
from headrace.models.ranker.state import ModelState
from headrace.schemas.ids import hash64
from headrace.schemas.model.ranker_inputs import SHIPPED
from headrace.serving.shared.state_files import read_model

SETTINGS_VARIABLE = "BENCHMARK_PEER"
HISTORY, SHOWN = 20, 20
_BATCH = 1_000


class PeerSettings(Struct, frozen=True, kw_only=True):
    """Of a peer's process, as JSON in its environment."""

    redis: str
    model: str
    items: int
    candidates: int


class PeerModel:
    """The model, with each item's retrieval vector; items are numbered."""

    def __init__(self, settings: PeerSettings) -> None:
        self.model: ModelState = read_model(Path(settings.model), RankerConfig())
        self.ids: Ids = np.array([hash64(f"i{number}") for number in range(settings.items)], np.int64)
        self.categories: Ids = np.array([hash64(f"c{number % 200}") for number in range(settings.items)], np.int64)
        self.vectors: Floats = self.model.item_vectors(Items(self.ids, self.categories))

    def score(self, user: str, history: list[int], candidates: np.ndarray, inputs: Floats) -> Floats:
        """The click probabilities [C] of candidates with inputs [C, F]."""
        items = Items(self.ids[candidates], self.categories[candidates])
        return self.model.score(hash64(user), self.ids[history], items=items, inputs=inputs).click


def fill_redis(url: str, *, users: int, items: int, seed: int) -> None:
    """Hashes as a service keeps them: `user:ID` and `item:ID`, a field for each feature; `state:ID` for the floor."""
    client, rng = redis.Redis.from_url(url), np.random.default_rng(seed)
    for keys in (_items(items, rng), _users(users, items, rng)):
        pipeline = client.pipeline(transaction=False)
        for number, (key, fields) in enumerate(keys):
            pipeline.hset(key, mapping=fields)
            if number % _BATCH == _BATCH - 1:
                pipeline.execute()
        pipeline.execute()
    for user in range(users):
        history = client.hget(f"user:u{user}", "history")
        client.set(f"state:u{user}", history or b"[]")


def _items(count: int, rng: np.random.Generator) -> Iterator[tuple[str, dict[str, str]]]:
    for item in range(count):
        values = rng.gamma(1.0, 60.0, len(SHIPPED.of("item"))).round(4).tolist()
        yield f"item:{item}", {name: str(value) for name, value in zip(SHIPPED.of("item"), values, strict=True)}


def _users(count: int, items: int, rng: np.random.Generator) -> Iterator[tuple[str, dict[str, str]]]:
    for user in range(count):
        history = msgspec.json.encode(rng.integers(items, size=HISTORY).tolist()).decode()
        yield f"user:u{user}", {"history": history, "clicks_24h": "3", "imps_ever": "120"}


WIDTH = len(DENSE)
