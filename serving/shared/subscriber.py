"""A worker's side: follows the folder of shared state, and swaps its state by reference."""

import contextlib
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, cast

import msgspec
import numpy as np

from headrace.models.array_types import Ids
from headrace.models.index.exact import NumpyIndex
from headrace.models.index.protocol import BuildIndex
from headrace.models.ranker.config import RankerConfig
from headrace.serving.shared import state_files
from headrace.serving.shared.current import CURRENT, METRICS, REPORT, Current, LayoutStamp, ModelFiles, layout_of
from headrace.serving.shared.index_files import IndexReader
from headrace.serving.shared.takedown_marks import TakedownMarks
from headrace.serving.state.columns import Columns
from headrace.serving.state.report import NotPublished, Report
from headrace.serving.state.state import ServedModel, ServingState

T = TypeVar("T")
_OTHER_RELEASE = (
    "the feeder is of another release, or reads another model.toml (its arrays have layout {}, this worker reads {}): "
    "restart both with the same files"
)


class _WatchedFile:
    """A file that is replaced as a whole."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stamp = (0, 0)

    def has_changed(self) -> bool:
        """Whether the file was replaced since the last time this was True."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return False
        stamp = found.st_ino, found.st_mtime_ns
        changed, self._stamp = stamp != self._stamp, stamp
        return changed

    @property
    def age_s(self) -> float:
        """Seconds since it was replaced."""
        with contextlib.suppress(FileNotFoundError):
            return time.time() - self.path.stat().st_mtime
        return float("inf")


class SharedState:
    """The state in a folder that a `Publisher` writes.

    Asking for the state costs a system call if nothing has changed; what has changed is mapped, not read.
    """

    def __init__(self, folder: Path, config: RankerConfig, build: BuildIndex = NumpyIndex) -> None:
        self._indexes = IndexReader(build)
        self._reading = threading.Lock()  # handlers of events ask in threads of their own
        self._folder = folder
        self._config = config
        self._layout, self._columns = layout_of(config), Columns(config.inputs)
        self._current, self._reported = _WatchedFile(folder / CURRENT), _WatchedFile(folder / REPORT)
        self._marks = TakedownMarks(folder)
        self._marked = self._marks.ids
        self._mismatch = ""  # why the newest state is not used
        self._mapped: ServingState | None = None  # as the feeder wrote it
        self._parts: dict[str, object] = {}
        self._models: dict[ModelFiles, ServedModel] = {}
        self._state: ServingState | None = None  # without what this host has taken down since
        self._report: Report | None = None

    @property
    def state(self) -> ServingState:
        """The newest complete state.

        Raises:
            NotPublished: the feeder has not published one.
        """
        with self._reading:
            self._follow()
            if self._mapped is None:
                raise NotPublished(self._mismatch) if self._mismatch else _not_published(self._folder)
            marked = self._marks.ids
            if self._state is None or marked is not self._marked:
                self._marked = marked
                taken_down = np.union1d(self._mapped.taken_down, marked)
                self._state = msgspec.structs.replace(self._mapped, taken_down=taken_down)
            return self._state

    def _follow(self) -> None:
        """Map what the feeder has published since the last time."""
        while self._current.has_changed():
            try:
                written = self._current.path.read_bytes()
                layout = msgspec.json.decode(written, type=LayoutStamp).layout
                self._mismatch = "" if layout == self._layout else _OTHER_RELEASE.format(layout, self._layout)
                if not self._mismatch:
                    self._mapped, self._state = self._load(msgspec.json.decode(written, type=Current)), None
            except FileNotFoundError:  # replaced meanwhile, and its files removed; or a feeder is starting
                continue

    @property
    def taken_down(self) -> Ids:
        """The items that this host has taken down; also while there is no state."""
        return self._marks.ids

    @property
    def report(self) -> Report:
        """The feeder's last report.

        Raises:
            NotPublished: the feeder has not reported.
        """
        if self._reported.has_changed():
            with contextlib.suppress(msgspec.ValidationError):  # of another release, as the arrays are
                self._report = msgspec.json.decode(self._reported.path.read_bytes(), type=Report)
        if self._report is None:
            raise _not_published(self._folder)
        if self._mismatch:
            return msgspec.structs.replace(self._report, stalled=[*self._report.stalled, self._mismatch])
        return self._report

    @property
    def metrics(self) -> str:
        """The feeder's metrics; empty before its first report."""
        with contextlib.suppress(FileNotFoundError):
            return (self._folder / METRICS).read_text(encoding="utf-8")
        return ""

    @property
    def silent_s(self) -> float:
        """Seconds since the feeder last reported."""
        return self._reported.age_s

    def _load(self, current: Current) -> ServingState:
        before, self._parts = self._parts, {}
        models = {alias: self._served(before, files) for alias, files in current.models.items()}
        self._models = {files: models[alias] for alias, files in current.models.items()}
        return ServingState(
            plan=self._part(before, current.plan, state_files.read_plan),
            catalogue=self._part(before, current.catalogue, state_files.read_catalogue),
            features=self._part(before, current.features, lambda path: state_files.read_features(path, self._columns)),
            pool=self._part(before, current.pool, state_files.read_pool),
            models=models,
            taken_down=np.array(current.taken_down, np.int64),
        )

    def _served(self, before: dict[str, object], files: ModelFiles) -> ServedModel:
        model = self._part(before, files.model, lambda path: state_files.read_model(path, self._config))
        index = self._part(before, files.index, self._indexes.read)
        return self._models.get(files) or ServedModel(  # the known one may have computed its fingerprint
            model=model, index=index, applied_at=files.applied_at, offset=files.offset, name=files.name
        )

    def _part(self, before: dict[str, object], name: str, read: Callable[[Path], T]) -> T:
        found = before.get(name, self._parts.get(name))
        part = read(self._folder / name) if found is None else cast("T", found)
        self._parts[name] = part
        return part


def _not_published(folder: Path) -> NotPublished:
    return NotPublished(f"there is no state in {folder} yet; start the feeder, `python -m headrace.serving.feeder`")
