"""Feast as a contender: a client of the process that runs it."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from benchmarks.peers.peer import Peer, peer

DATABASE = 1
"""The Redis database of Feast's values, as in `feast_reader.py`."""


class Feast:
    """A Feast process that holds the given values."""

    def __init__(self, process: Peer) -> None:
        self._process = process
        self.first = msgspec.json.decode(process.line(), type=dict[str, float])
        """Features of the first entity, as Feast reads them."""

    def read_ms(self, manner: str, entities: int) -> float:
        """Milliseconds of a read of the first `entities` entities, ending in `proto` or `dict`."""
        return float(self._process.ask(f"{manner} {entities}"))


@contextlib.contextmanager
def feast(port: int, folder: Path, *, names: list[str], columns: Mapping[str, list[float]]) -> Iterator[Feast]:
    """Start Feast on the Redis at `port` with these values, one column per feature."""
    values = folder / "values.json"
    values.write_bytes(msgspec.json.encode({"names": names, "columns": columns}))
    with peer("feast", "feast_reader.py", str(port), str(values)) as process:
        yield Feast(process)
