"""Background threads: the versions of the challenger, and of the models that arms name (docs/adr/0017, 0018)."""

import threading
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from models.config import RankerConfig
from models.state import ModelState
from schemas.version_policy import Course
from serving.kafka.producer import Letter
from serving.state.state import Live, Progress
from serving.versions.delta_reader import DeltaReader

_POLL_S = 0.1


class Seat:
    """Beside `live`: a rival is told apart by its name, and what becomes of it says nothing of the line."""

    def __init__(self, live: Live, alias: str, name: str) -> None:
        self._live = live
        self._name = name
        self.progress = live.seats[alias] = Progress()

    @property
    def course(self) -> Course:
        """Which of its versions may answer, as decided."""
        return self._live.courses.get(self._name, Course())

    def promote(self, alias: str, model: ModelState, *, applied_at: int, offset: int = -1) -> None:
        """Put a version in the seat."""
        self._live.promote(alias, model, applied_at=applied_at, offset=offset, name=self._name)


class Origin(Struct, frozen=True, kw_only=True):
    """Where rivals come from, the key that verifies them, their settings, and where what is decided of them goes."""

    bootstrap: str
    artefacts: Path
    key: bytes
    send: Callable[[Letter], bool]
    config: RankerConfig = RankerConfig()


class Rival:
    """Follows whichever model `named` says, one at a time; none while that is empty."""

    def __init__(self, live: Live, origin: Origin, *, alias: str, named: Callable[[], str]) -> None:
        self._live = live
        self._origin = origin
        self._alias = alias
        self._named = named

    def run(self, stop: threading.Event) -> None:
        """Follow until told to stop, once it is known which versions are admitted."""
        while not stop.wait(_POLL_S):
            name = self._named() if self._live.progress.control_read else ""
            if name:
                self._follow(name, lambda name=name: stop.is_set() or self._named() != name)

    def _follow(self, name: str, is_over: Callable[[], bool]) -> None:
        origin, seat = self._origin, Seat(self._live, self._alias, name)
        folder = origin.artefacts / name / "snapshots"
        reader = DeltaReader(
            seat,
            name=name,
            key=origin.key,
            folder=folder,
            send=origin.send,
            alias=self._alias,
            config=origin.config,
        )
        try:
            reader.follow(origin.bootstrap, is_over)
        finally:
            self._live.vacate(self._alias)
