"""Takedowns that this host received: marks in a folder, which hold at once in all of its workers.

The log says the same a moment later, or not at all while Kafka or the feeder is away. A mark is an empty file, named by
the item's id as a number: `<id>.pending`, and once the broker has the record `<id>.written`.
"""

import contextlib
import re
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from headrace.models.array_types import Ids
from headrace.serving.state.state import ServingState

FOLDER = "takedowns"
_PENDING, _WRITTEN = ".pending", ".written"
_MARK = re.compile(r"\d+\.(pending|written)")
_LONGEST_S = 600.0
_COARSE_NS = 100_000_000  # file systems count in ticks: two changes within one may leave the same time


class TakedownMarks:
    """The marks in one host's folder of shared state."""

    def __init__(self, shared: Path) -> None:
        self._folder = shared / FOLDER
        self._folder.mkdir(parents=True, exist_ok=True)
        self._read_ns = -1
        self._ids = np.zeros(0, np.int64)

    @property
    def ids(self) -> Ids:
        """The marked items, ascending. It costs a system call if nothing has changed."""
        changed_ns = self._folder.stat().st_mtime_ns
        if changed_ns != self._read_ns:
            found = sorted({int(path.stem) for path in self._folder.iterdir() if _MARK.fullmatch(path.name)})
            if found != self._ids.tolist():
                self._ids = np.array(found, np.int64)
            settled = time.time_ns() - changed_ns > _COARSE_NS
            self._read_ns = changed_ns if settled else -1
        return self._ids

    def mark(self, ids: Iterable[int]) -> None:
        """Mark items; done before their takedown is written."""
        for id_ in ids:
            (self._folder / f"{id_}{_PENDING}").touch()

    def confirm(self, ids: Iterable[int]) -> None:
        """Note that the broker has the takedowns of marked items."""
        for id_ in ids:
            with contextlib.suppress(FileNotFoundError):  # another request took the same item down
                (self._folder / f"{id_}{_PENDING}").replace(self._folder / f"{id_}{_WRITTEN}")

    def remove(self, ids: Iterable[int]) -> None:
        """Remove marks; done once the broker has a later record, which does not take the item down."""
        for id_ in ids:
            for suffix in (_PENDING, _WRITTEN):
                (self._folder / f"{id_}{suffix}").unlink(missing_ok=True)

    def tidy(self, state: ServingState) -> None:
        """Remove confirmed marks that the log has confirmed too: the items are not in this state, the feeder's own.

        One that is still there after ten minutes belongs to an item that has been brought back since.
        """
        for path in self._folder.glob(f"[0-9]*{_WRITTEN}"):
            _, shown = state.find(np.array([int(path.stem)]))
            if not shown[0] or time.time() - path.stat().st_ctime > _LONGEST_S:
                path.unlink(missing_ok=True)
