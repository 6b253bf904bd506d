"""The feeder's side: writes the parts of a state that have changed, and removes what no reader needs any more."""

import itertools
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias, TypeVar

import msgspec

from headrace.models.ranker.config import RankerConfig
from headrace.serving.shared import state_files
from headrace.serving.shared.current import CURRENT, METRICS, REPORT, Current, ModelFiles, layout_of, replace
from headrace.serving.shared.index_files import write_index
from headrace.serving.state.report import Report
from headrace.serving.state.state import ServingState

T = TypeVar("T")
Files: TypeAlias = dict[int, tuple[object, str]]
"""The file of each part, by its id. The part is kept with it, so that the id stays its own."""
_KEPT_S = 10.0  # how long a file stays after it was replaced: a worker may just be about to open it
_SUFFIX = ".safetensors"
_REFERENCE = RankerConfig()


class Publisher:
    """Writes states to a folder, which it empties at the start: parts are compared by identity, not by content.

    `config`: that of the models. `replaces`: whether there was a state before, which workers that have mapped it still
    answer from.
    """

    def __init__(self, folder: Path, config: RankerConfig = _REFERENCE) -> None:
        self._layout = layout_of(config)
        folder.mkdir(parents=True, exist_ok=True)
        self.replaces = (folder / CURRENT).exists()
        (folder / CURRENT).unlink(missing_ok=True)  # first: it names the files
        for path in [*folder.glob(f"*{_SUFFIX}"), *folder.glob("*.partial")]:
            path.unlink()
        self._folder = folder
        self._numbers = itertools.count(time.time_ns())  # no name occurs twice, not even after a restart
        self._files: Files = {}
        self._replaced: deque[tuple[float, str]] = deque()

    def publish(self, state: ServingState) -> None:
        """Write a state. Readers see the one before until it is complete."""
        before, self._files = self._files, {}
        models = {
            alias: ModelFiles(
                model=self._file(before, "model", served.model, state_files.write_model),
                index=self._file(before, "index", served.index, write_index),
                applied_at=served.applied_at,
                offset=served.offset,
                name=served.name,
            )
            for alias, served in state.models.items()
        }
        current = Current(
            plan=self._file(before, "plan", state.plan, state_files.write_plan),
            catalogue=self._file(before, "catalogue", state.catalogue, state_files.write_catalogue),
            features=self._file(before, "features", state.features, state_files.write_features),
            pool=self._file(before, "pool", state.pool, state_files.write_pool),
            models=models,
            taken_down=state.taken_down.tolist(),
            layout=self._layout,
        )
        replace(self._folder / CURRENT, msgspec.json.encode(current))
        used = {name for _, name in self._files.values()}
        self._replaced += [(time.monotonic(), name) for _, name in before.values() if name not in used]
        self._remove()

    def report(self, report: Report, metrics: bytes = b"") -> None:
        """Write a report and the feeder's metrics; their age shows that the feeder lives."""
        replace(self._folder / METRICS, metrics)
        replace(self._folder / REPORT, msgspec.json.encode(report))
        self._remove()

    def _file(self, before: Files, kind: str, part: T, write: Callable[[Path, T], None]) -> str:
        """The name of a part's file, which is written unless the state before had the same part."""
        name = before[id(part)][1] if id(part) in before else ""
        if not name and id(part) not in self._files:
            name = f"{kind}-{next(self._numbers)}{_SUFFIX}"
            write(self._folder / name, part)
        self._files.setdefault(id(part), (part, name))
        return self._files[id(part)][1]

    def _remove(self) -> None:
        while self._replaced and time.monotonic() - self._replaced[0][0] > _KEPT_S:
            (self._folder / self._replaced.popleft()[1]).unlink(missing_ok=True)
