"""The assignment and the report of a peer loop."""

import resource
import time
from pathlib import Path

import msgspec
from msgspec import Struct


class Assignment(Struct, frozen=True):
    """A part of a topic to process.

    Attributes:
        begins: start offset of each partition.
        events: number of events to handle, including duplicates.
        at_most_s: time limit.
        categories: item to category.
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
        """Read an assignment from a JSON file."""
        return msgspec.json.decode(Path(path).read_bytes(), type=cls)


class LoopReport(Struct, frozen=True):
    """The result of a loop: events handled per partition, wall and CPU seconds, and peak memory."""

    handled: list[int]
    wall_s: float
    cpu_s: float
    peak_mb: float

    def encode(self) -> bytes:
        """The report as JSON."""
        return msgspec.json.encode(self)


def cpu_s() -> float:
    """CPU seconds of this process."""
    return time.process_time()


def peak_mb() -> float:
    """Peak resident memory of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
