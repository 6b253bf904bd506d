"""What a contender is told and what it reports, whichever loop it is."""

import resource
import time
from pathlib import Path

import msgspec
from msgspec import Struct


class Assignment(Struct, frozen=True):
    """A part of a topic to work through.

    Attributes:
        begins: for each partition the offset to start at.
        events: how many to handle, duplicates counted.
        at_most_s: when to stop before that.
        categories: the catalogue: item to category.
    """

    bootstrap: str
    redis: str
    topic: str
    begins: list[int]
    events: int
    at_most_s: float
    categories: dict[str, str]

    @classmethod
    def load(cls, path: str) -> "Assignment":
        """Read one that was written as JSON."""
        return msgspec.json.decode(Path(path).read_bytes(), type=cls)


class Ran(Struct, frozen=True):
    """What a loop has done: events handled of each partition, seconds on the clock and on the CPU, peak memory."""

    handled: list[int]
    wall_s: float
    cpu_s: float
    peak_mb: float

    def encode(self) -> bytes:
        """As JSON."""
        return msgspec.json.encode(self)


def cpu_s() -> float:
    """Seconds this process has spent on the CPU."""
    return time.process_time()


def peak_mb() -> float:
    """The most memory this process has held, resident."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
