"""A version that a reader stands on, and where its versions begin on the log: what a way back needs."""

from collections import deque

from msgspec import Struct

from models.config import RankerConfig
from models.state import ModelState
from schemas.delta import Delta
from schemas.version_policy import Course, Place
from serving.versions.snapshot import Loaded

_HELD = 6  # models of a million rows take 76 MB each
_KNOWN = 20_000  # versions; two weeks of one a minute
_PARTITION = "0"  # `samples` has one partition


class Standing(Struct, frozen=True, kw_only=True):
    """A model with its place in the chain. `offset`: where the samples it has learnt end; `to_ms`: their clock."""

    model: ModelState
    at: Place = (0, 0)
    hash: str = ""
    offset: int = -1
    to_ms: int = 0


class Trail:
    """The standings that one came by, the last six in memory, and the log offset at which each version begins."""

    def __init__(self, config: RankerConfig) -> None:
        self._nothing = Standing(model=ModelState.empty(config))
        self._held: deque[Standing] = deque(maxlen=_HELD)
        self._begins: dict[Place, int] = {}

    def stood(self, standing: Standing) -> None:
        """Note where one stands now."""
        if not self._held or self._held[-1].at != standing.at:
            self._held.append(standing)

    def begins(self, at: Place, offset: int) -> None:
        """Note where a version begins on the log; one that is there twice begins where it came first."""
        self._begins.setdefault(at, offset)
        if len(self._begins) > _KNOWN:
            del self._begins[min(self._begins)]

    def back(self, course: Course) -> Standing:
        """The newest standing in memory that a course admits; the empty model where there is none."""
        return max((each for each in self._held if course.admits(each.at)), key=_place, default=self._nothing)

    def ahead(self, standing: Standing, course: Course) -> dict[Place, int]:
        """Versions beyond a standing that a course admits, and where they begin."""
        return {at: begin for at, begin in self._begins.items() if at > standing.at and course.admits(at)}


def _place(standing: Standing) -> Place:
    return standing.at


def after(standing: Standing, delta: Delta) -> Standing:
    """Where one stands with one more version.

    Raises:
        ValueError: the version is of other shapes.
    """
    manifest = delta.manifest
    return Standing(
        model=standing.model.apply(delta),
        at=(manifest.epoch, manifest.seq),
        hash=delta.hash,
        offset=manifest.offsets.get(_PARTITION, -1),
        to_ms=manifest.to_ms,
    )


def of_snapshot(loaded: Loaded) -> Standing:
    """Where one stands with a snapshot."""
    meta = loaded.meta
    at = (meta.epoch, meta.seq)
    return Standing(model=loaded.model, at=at, hash=meta.hash, offset=meta.offset, to_ms=meta.published_ms)
