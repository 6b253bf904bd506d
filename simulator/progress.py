"""Prints the progress of a live load every five seconds, and keeps the peak memory."""

import threading
import time
from collections.abc import Callable
from typing import TypeAlias

from headrace.simulator.api import Api
from headrace.simulator.probe import Probe
from headrace.simulator.report import percentiles
from headrace.simulator.traffic import Traffic

_EVERY_S = 5.0
Say: TypeAlias = Callable[[str], None]


class ProgressPrinter:
    """A thread that prints one line of figures about the time since the last line."""

    def __init__(self, traffic: Traffic, api: Api, *, probe: Probe, memory_mb: Callable[[], float], say: Say) -> None:
        self.peak_mb = 0.0
        self._traffic = traffic
        self._api = api
        self._probe = probe
        self._memory_mb = memory_mb
        self._say = say
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="progress", daemon=True)
        self._at_s = time.monotonic()
        self._events = 0
        self._slates = 0
        self._features = 0

    def start(self) -> None:
        """Start printing."""
        self._thread.start()

    def stop(self) -> None:
        """Stop printing."""
        self._stop.set()
        self._thread.join(timeout=_EVERY_S)

    def _run(self) -> None:
        while not self._stop.wait(_EVERY_S):
            memory_mb = self._memory_mb()
            self.peak_mb = max(self.peak_mb, memory_mb)
            self._say(self._line(memory_mb))

    def _line(self, memory_mb: float) -> str:
        now_s = time.monotonic()
        events, slates = self._traffic.sent["accepted"], len(self._api.latencies_ms)
        elapsed_s = now_s - self._at_s
        latency = percentiles(self._api.latencies_ms[self._slates : slates])
        freshness = percentiles(self._probe.to_feature_ms[self._features :])
        version = self._probe.versions[-1].version if self._probe.versions else "-"
        parts = (
            f"{self._traffic.elapsed_s:4.0f} s",
            f"{(events - self._events) / elapsed_s:4.0f} events/s",
            f"{(slates - self._slates) / elapsed_s:4.1f} slates/s, p99 {_rounded(latency.p99)} ms",
            f"feature {_rounded(freshness.p50)} ms",
            f"weights {_rounded(percentiles(self._probe.to_weights_ms()).p50)} ms, version {version}",
            " ".join(f"{arm} {ctr:.3f}" for arm, ctr in self._traffic.clicks.ctr().items()),
            f"{memory_mb:.0f} MB",
        )
        self._at_s, self._events, self._slates = now_s, events, slates
        self._features = len(self._probe.to_feature_ms)
        return " | ".join(part for part in parts if part)


def _rounded(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"
