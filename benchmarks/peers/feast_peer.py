"""Feast as a contender: what it holds and what it is asked."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from benchmarks.peers.peer import Peer, peer

DATABASE = 1
"""Where Feast keeps its values, as `feast_reader.py` says."""


class Feast:
    """A Feast that holds what it was told."""

    def __init__(self, process: Peer) -> None:
        self._process = process
        self.first = msgspec.json.decode(process.line(), type=dict[str, float])
        """What it reads of the first entity."""

    def read_ms(self, manner: str, entities: int) -> float:
        """What a read of the first so many entities takes, ending in `proto` or `dict`."""
        return float(self._process.ask(f"{manner} {entities}"))


@contextlib.contextmanager
def feast(port: int, folder: Path, *, names: list[str], columns: Mapping[str, list[float]]) -> Iterator[Feast]:
    """A Feast on the Redis at `port` that holds these values, a column a feature."""
    told = folder / "values.json"
    told.write_bytes(msgspec.json.encode({"names": names, "columns": columns}))
    with peer("feast", "feast_reader.py", str(port), str(told)) as process:
        yield Feast(process)
