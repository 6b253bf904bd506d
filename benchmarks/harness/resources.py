"""Resource use over a period: CPU seconds of each program and each Flink thread, and peak memory."""

import contextlib
import threading
import time
from collections import defaultdict
from pathlib import Path
from types import TracebackType
from typing import TypeAlias

import psutil
from msgspec import Struct

from headrace.layout import Layout
from headrace.stack import supervisor
from headrace.stack.supervisor import Supervisor

_POLL_S = 1.0
_LEAST_S = 0.05  # below this it is noise of the clock's ticks
_SecondsByName: TypeAlias = defaultdict[str, float]


class ResourceUse(Struct, frozen=True, kw_only=True):
    """CPU seconds by program and by thread of the TaskManager, and the peak of the pipeline's sum of PSS.

    `paused_s` is the longest time that the system did not schedule this process, beyond its own pauses. If it is long,
    the machine slept or was busy with other work, and the timings are worthless. `machine_cpu_s` is the CPU time of all
    processes of the machine; the excess over `cpu_s` went to others. Programs and threads that used less than 0.05 s
    are left out.
    """

    cpu_s: dict[str, float]
    threads_cpu_s: dict[str, float]
    peak_mb: float
    paused_s: float
    machine_cpu_s: float


class ResourceMeter:
    """`with ResourceMeter(layout) as meter: …`, then `meter.use`."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._stop = threading.Event()
        self._peak_mb = self._paused_s = 0.0
        self._watch = threading.Thread(target=self._measure, daemon=True)

    def __enter__(self) -> "ResourceMeter":
        self._parts, self._threads = _by_part(self._layout), _by_thread(self._layout)
        self._machine_s = _machine_s()
        self._watch.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        parts, threads = _by_part(self._layout), _by_thread(self._layout)
        self._stop.set()
        self._watch.join()
        self.use = ResourceUse(
            cpu_s=_spent(self._parts, parts),
            threads_cpu_s=_spent(self._threads, threads),
            peak_mb=round(self._peak_mb),
            paused_s=round(self._paused_s, 1),
            machine_cpu_s=round(_machine_s() - self._machine_s, 2),
        )

    def _measure(self) -> None:
        measured_s = time.monotonic()
        while not self._stop.wait(_POLL_S):
            self._paused_s = max(self._paused_s, time.monotonic() - measured_s - _POLL_S)
            with contextlib.suppress(psutil.Error):
                used_mb = supervisor.proportional_memory_mb(supervisor.tree(self._layout))
                self._peak_mb = max(self._peak_mb, used_mb)
            measured_s = time.monotonic()


def _spent(before: _SecondsByName, after: _SecondsByName) -> dict[str, float]:
    spent = {name: round(seconds - before[name], 2) for name, seconds in after.items()}
    return {name: seconds for name, seconds in sorted(spent.items(), key=lambda each: -each[1]) if seconds >= _LEAST_S}


def _machine_s() -> float:
    times = psutil.cpu_times()
    return times.user + times.system + getattr(times, "nice", 0.0)


def _by_part(layout: Layout) -> _SecondsByName:
    """CPU seconds so far of each program; Flink's Python workers count separately."""
    parts: _SecondsByName = defaultdict(float)
    for name, (_, pid) in Supervisor(layout).programs().items():
        for process in _processes(pid) if pid else []:
            with contextlib.suppress(psutil.NoSuchProcess):  # it has just exited; the others still count
                part = "python workers" if "fn_execution" in " ".join(process.cmdline()) else name
                times = process.cpu_times()
                parts[part] += times.user + times.system
    return parts


def _processes(pid: int) -> list[psutil.Process]:
    """A process and its descendants; empty if it has exited."""
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _by_thread(layout: Layout) -> _SecondsByName:
    """CPU seconds so far of the TaskManager's threads, by the 15 characters that the kernel keeps of their names."""
    threads: _SecondsByName = defaultdict(float)
    _, pid = Supervisor(layout).programs()["taskmanager"]
    with contextlib.suppress(psutil.NoSuchProcess):
        for thread in psutil.Process(pid).threads() if pid else []:
            with contextlib.suppress(OSError):
                name = Path(f"/proc/{pid}/task/{thread.id}/comm").read_text().strip()
                threads[name] += thread.user_time + thread.system_time
    return threads
