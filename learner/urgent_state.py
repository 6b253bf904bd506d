"""What the learner has taken from the urgent lane ahead of a backlog of samples (docs/adr/0015). No I/O."""

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from schemas.samples import Sample
from schemas.version_policy import Place

URGENT = "urgent"  # the lane's name among a manifest's offsets
HORIZON_MS = 3_600_000  # how far ahead of the clock the lane is read, and how long what is ahead is remembered
MOST = 100_000  # rows ahead
Row: TypeAlias = tuple[int, Sample | str]
"""A sample with its offset, or the code of why the record there is none."""
Key: TypeAlias = tuple[str, int, str]  # request, position, head


class UrgentSource(Protocol):
    """The urgent lane; `lane.UrgentSamples` is one."""

    def rows(self, place: Place, begin: int, clock_ms: int) -> Iterable[Row]:
        """The rows that a version, about to be cut at a time, may take: from an offset on, with their offsets."""
        ...


class NoUrgentSource:
    """No lane: a learner over `samples` alone."""

    def rows(self, place: Place, begin: int, clock_ms: int) -> Iterable[Row]:
        """None."""
        del place, begin, clock_ms
        return ()

    def close(self) -> None:
        """Nothing to leave."""


NO_URGENT_SOURCE = NoUrgentSource()


class UrgentState:
    """SampleLog taken, until the log of samples has come to them; `offset`: where the lane stands."""

    def __init__(self) -> None:
        self.offset = 0
        self._known: dict[Key, int] = {}

    def select(self, rows: Iterable[Row], clock_ms: int, *, cadence_ms: int) -> Iterator[Row]:
        """The samples that the log does not bring within a cadence, and what is none, as far as the lane may be read.

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
        """Remember a sample that is learnt ahead."""
        self._known[_key(sample)] = sample.known_at

    def forget(self, sample: Sample) -> bool:
        """Whether a sample of the log has been learnt ahead; it is forgotten then."""
        return bool(self._known) and self._known.pop(_key(sample), None) is not None

    def to_array(self) -> NDArray[np.uint8]:
        """All of it as bytes."""
        return np.frombuffer(msgspec.msgpack.encode((self.offset, sorted(self._known.items()))), np.uint8)

    def resume(self, packing: NDArray[np.generic]) -> None:
        """Go on from `packed`."""
        self.offset, known = msgspec.msgpack.decode(packing.tobytes(), type=tuple[int, list[tuple[Key, int]]])
        self._known = dict(known)


def _key(sample: Sample) -> Key:
    """A slot's head is said positive once."""
    head = "click" if sample.click else "converted" if sample.converted else "engagement" if sample.engagement else ""
    return sample.request_id, sample.position, head
