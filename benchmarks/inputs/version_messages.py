"""The messages that a learner would publish for versions of a model with trained item rows."""

import hashlib

import numpy as np

from headrace.models.ranker.config import TABLES, RankerConfig
from headrace.schemas.defaults import LIVE_MODEL
from headrace.schemas.versions.delta import Manifest, Update, encode_chunks, seal
from headrace.schemas.versions.row_codec import TableUpdate

KEY = b"a key of the benchmarks"
MODEL = LIVE_MODEL


class VersionChain:
    """Makes versions, each with the hash of its parent."""

    def __init__(self, config: RankerConfig) -> None:
        self._config = config
        self._seq, self._hash = 0, ""

    def next(self, chunks: list[bytes]) -> list[bytes]:
        """The messages of the next version with these chunks."""
        self._seq += 1
        manifest = Manifest(
            model=MODEL,
            epoch=1,
            seq=self._seq,
            parent=self._hash,
            chunks=[hashlib.sha256(chunk).hexdigest() for chunk in chunks],
            schema=self._config.schema(),
            settings=self._config.settings(),
            from_ms=0,
            to_ms=self._seq,
            offsets={"0": self._seq},
            rows={},
            gone={},
            stats={},
        )
        message, self._hash = seal(manifest, key=KEY)
        return [*chunks, message]


def snapshot_chunks(config: RankerConfig, items: TableUpdate, *, seed: int) -> list[bytes]:
    """The chunks of a first version: these items, a default row per table, and initial dense tensors."""
    rng = np.random.default_rng(seed)
    no_ids = np.zeros(0, np.int64)
    blank = TableUpdate(
        ids=np.zeros(1, np.int64), rows=np.zeros((1, config.width), np.float32), gone=no_ids, lead=items.lead
    )
    tables = dict.fromkeys(TABLES, blank) | {"item": items}
    dense = {name: rng.normal(0, 0.1, shape).astype(np.float32) for name, shape in config.shapes().items()}
    dense["input_spread"] = np.ones(config.shapes()["input_spread"], np.float32)
    return encode_chunks(Update(tables=tables, dense=dense))


def delta_chunks(items: TableUpdate) -> list[bytes]:
    """The chunks of a version that changes only these rows."""
    return encode_chunks(Update(tables={"item": items}, dense={}))
