"""Background thread of the feeder: measures the live model's index, and builds bases for it (docs/adr/0027)."""

import math
import os
import sys
import threading
import time
import traceback
from pathlib import Path

import numpy as np

from headrace.models.index.layered import LayeredBuilder, LayeredIndex, is_large
from headrace.models.index.protocol import Index
from headrace.schemas.versions.aliases import LIVE
from headrace.serving.shared.sampled_users import sample_users
from headrace.serving.state.state import Live, ServingState
from headrace.serving.telemetry.index_metrics import IndexMetrics

SUFFIX = ".faiss"
_POLL_S = 0.5
_MEASURE_S = 60.0
_REST = 4.0  # times the last rebuild until the next: bases take a fifth of a core at most
_MOST_CHANGED = 0.05
_LEAST_RECALL = 0.98  # so that users get 0.97 until the next base is there
_LOWEST_PRIORITY = 19


class IndexRebuilds:
    """Builds a base when the live model's index needs one. A failure leaves the old one in use.

    `folder` is that of the shared state. Files of bases there belong to this object; it removes those it finds.
    """

    def __init__(self, live: Live, builder: LayeredBuilder, folder: Path, metrics: IndexMetrics) -> None:
        for path in folder.glob(f"*{SUFFIX}"):
            path.unlink()
        self._live = live
        self._builder = builder
        self._folder = folder
        self._metrics = metrics
        self._generator = np.random.default_rng(0)
        self._rest_until_s = self._measured_s = -math.inf
        self._recall = 1.0
        self._files: list[Path] = []

    def run(self, stop: threading.Event) -> None:
        """Look at the index until `stop` is set. After an error the next look is a minute later."""
        if sys.platform == "linux":  # where a thread has its own priority
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LOWEST_PRIORITY)
        while not stop.wait(_POLL_S):
            self.look(time.monotonic())

    def look(self, now_s: float) -> None:
        """Measure the index once a minute, and build a base if there is a reason to."""
        state = self._live.state
        if LIVE not in state.models:
            return
        index, reason = state.models[LIVE].index, ""
        self._metrics.observe(index)
        try:
            if now_s - self._measured_s >= _MEASURE_S:
                self._measured_s = now_s
                reason = self._measure(state, index)
            reason = reason or reason_to_rebuild(index, recall=self._recall)
            if reason and now_s >= self._rest_until_s:
                took_s = self._rebuild(state, index, reason)
                self._measured_s, self._rest_until_s = -math.inf, now_s + took_s * (1 + _REST)
        except Exception:  # the disk is full, for example: the old base remains
            traceback.print_exc(file=sys.stderr)
            self._metrics.failures.inc()
            self._rest_until_s = now_s + _MEASURE_S

    def _measure(self, state: ServingState, index: Index) -> str:
        """Set the recall. Returns what is wrong with the file of the base, if anything is."""
        if not isinstance(index, LayeredIndex):
            self._recall = 1.0
            return ""
        from headrace.models.index.recall import recall_of
        from headrace.serving.shared.base_file import DamagedBase, verify

        self._recall = recall_of(index, sample_users(state, self._generator))
        self._metrics.recall.set(self._recall)
        try:
            if index.lists.file:
                verify(self._folder, index.lists.file)
        except (DamagedBase, FileNotFoundError) as error:
            return str(error)
        return ""

    def _rebuild(self, state: ServingState, index: Index, reason: str) -> float:
        """Build, write and serve another base. Returns the seconds that took."""
        from headrace.models.index.base import build_base
        from headrace.models.index.recall import calibrated
        from headrace.serving.shared.base_file import map_lists, write_lists

        start = time.monotonic()
        base = build_base(index.ids, index.vectors)
        base = calibrated(base, sample_users(state, self._generator))
        path = self._folder / f"base-{time.time_ns()}{SUFFIX}"
        file = write_lists(path, base.lists)
        mapped = map_lists(self._folder, file, width=base.vectors.shape[1], rows=len(base.ids))
        self._builder.base = base.with_lists(ivf=mapped.ivf, file=file)
        self._live.reindex()
        self._remove_before(path)
        took_s = time.monotonic() - start
        self._metrics.rebuilt(took_s)
        sys.stderr.write(f"index base of {len(base.ids)} items built in {took_s:.1f} s: {reason}\n")
        return took_s

    def _remove_before(self, path: Path) -> None:
        """Remove all files but the newest and the one before, which a worker may just be about to map."""
        self._files.append(path)
        for old in self._files[:-2]:
            old.unlink(missing_ok=True)
        self._files = self._files[-2:]


def reason_to_rebuild(index: Index, *, recall: float) -> str:
    """Why an index needs another base, empty if it does not."""
    if not is_large(index.vectors):
        return ""
    if not isinstance(index, LayeredIndex):
        return "the index is exact"
    changed = (len(index.delta) + index.tombstones) / len(index.ids)
    if changed > _MOST_CHANGED:
        return f"{changed:.1%} of the items have changed"
    if recall < _LEAST_RECALL:
        return f"recall is {recall:.3f}"
    return ""
