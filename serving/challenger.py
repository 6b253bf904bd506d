"""Background thread: the versions of the model that the alias `challenger` follows (docs/adr/0017)."""

import threading
from pathlib import Path

from models.state import ModelState
from schemas.aliases import CHALLENGER
from schemas.course import Course
from schemas.topics import MODEL_DELTAS
from serving.deltas import DeltaReader
from serving.state import Live, Progress
from store.tail import Tail

_POLL_S = 0.1


class Seat:
    """Beside `live`: a challenger is told apart by its name, and what becomes of it says nothing of the line."""

    def __init__(self, live: Live, name: str) -> None:
        self._live = live
        self._name = name
        self.progress = Progress(control_read=True)
        self.course = Course()

    def promote(self, alias: str, model: ModelState, *, applied_at: int, offset: int = -1) -> None:
        """Put a version in the seat."""
        self._live.promote(alias, model, applied_at=applied_at, offset=offset, name=self._name)


class Challenger:
    """Follows whichever model the alias names, one at a time."""

    def __init__(self, live: Live, *, key: bytes, artefacts: Path) -> None:
        self._live = live
        self._key = key
        self._artefacts = artefacts

    def run(self, bootstrap: str, stop: threading.Event) -> None:
        """Follow until told to stop."""
        while not stop.wait(_POLL_S):
            if self._live.challenger:
                self._follow(self._live.challenger, bootstrap, stop)

    def _follow(self, name: str, bootstrap: str, stop: threading.Event) -> None:
        folder = self._artefacts / name / "snapshots"
        reader = DeltaReader(Seat(self._live, name), name=name, key=self._key, folder=folder, alias=CHALLENGER)
        reader.mend()
        tail = Tail(bootstrap, MODEL_DELTAS)
        try:
            while self._live.challenger == name and not stop.is_set():
                reader.step(tail)
        finally:
            tail.close()
            self._live.vacate(CHALLENGER)
