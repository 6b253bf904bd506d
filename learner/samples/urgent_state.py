"""What the learner has learned from the urgent lane, ahead of a backlog of samples (docs/adr/0015). No I/O."""

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from headrace.schemas.samples import Sample
from headrace.schemas.versions.version_policy import VersionId

URGENT = "urgent"  # the lane's name among a manifest's offsets
HORIZON_MS = 3_600_000  # how far ahead of the clock the lane is read, and how long samples learned ahead are remembered
MOST = 100_000  # samples learned ahead
Row: TypeAlias = tuple[int, Sample | str]
"""An offset, with its sample or the reason code why it cannot be used."""
Key: TypeAlias = tuple[str, int, str]  # request, position, head


class UrgentSource(Protocol):
    """A source of urgent samples: `urgent_source.UrgentSamples`, or `NoUrgentSource`."""

    def rows(self, version: VersionId, begin: int, clock_ms: int) -> Iterable[Row]:
        """Return the samples from offset `begin` on that a version, about to be made at `clock_ms`, may learn."""
        ...


class NoUrgentSource:
    """No urgent samples: for a learner over `samples` alone."""

    def rows(self, version: VersionId, begin: int, clock_ms: int) -> Iterable[Row]:
        """Return nothing."""
        del version, begin, clock_ms
        return ()

    def close(self) -> None:
        """Do nothing."""


NO_URGENT_SOURCE = NoUrgentSource()


class UrgentState:
    """Samples learned ahead, until `samples` brings them; `offset`: of the lane's next sample."""

    def __init__(self) -> None:
        self.offset = 0
        self._known: dict[Key, int] = {}

    def select(self, rows: Iterable[Row], clock_ms: int, *, cadence_ms: int) -> Iterator[Row]:
        """Yield the samples that `samples` does not bring within a cadence, and the unusable ones, up to the horizon.

        Moves `offset`.
        """
        self._known = {key: known_at for key, known_at in self._known.items() if known_at + HORIZON_MS > clock_ms}
        for offset, sample in rows:
            far = not isinstance(sample, str) and sample.known_at > clock_ms + HORIZON_MS
            if far or len(self._known) >= MOST:
                return
            self.offset = offset + 1
            if isinstance(sample, str) or sample.known_at > clock_ms + cadence_ms:
                yield offset, sample

    def remember(self, sample: Sample) -> None:
        """Remember a sample that is learned ahead."""
        self._known[_key(sample)] = sample.known_at

    def forget(self, sample: Sample) -> bool:
        """Forget a sample that `samples` has brought; return whether it was learned ahead."""
        return bool(self._known) and self._known.pop(_key(sample), None) is not None

    def to_array(self) -> NDArray[np.uint8]:
        """Return the state as bytes."""
        return np.frombuffer(msgspec.msgpack.encode((self.offset, sorted(self._known.items()))), np.uint8)

    def resume(self, array: NDArray[np.generic]) -> None:
        """Resume from `to_array`."""
        self.offset, known = msgspec.msgpack.decode(array.tobytes(), type=tuple[int, list[tuple[Key, int]]])
        self._known = dict(known)


def _key(sample: Sample) -> Key:
    """Identify a positive: a slot has at most one per head."""
    head = next((name for name, label in sample.said.items() if label), "")
    return sample.request_id, sample.position, head
