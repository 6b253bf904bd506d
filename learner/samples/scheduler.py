"""Decides which samples are learned now, which wait, and which are rejected. No I/O."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TypeGuard

import msgspec
import numpy as np

from headrace.learner.samples.clock import SampleClock
from headrace.learner.samples.collate import Collator
from headrace.learner.samples.held_positives import HeldPositives
from headrace.learner.samples.urgent_state import Row, UrgentState
from headrace.learner.settings import LoopSettings
from headrace.models.ranker.arrays import Arrays
from headrace.schemas.samples import CORRECTION, EXPLICIT, Sample
from headrace.schemas.topics import SAMPLES, SAMPLES_URGENT

_EXPECTED = ("feature_set", "other_arm", "skipped")  # reasons to skip a sample that is not faulty


class SampleRecord(msgspec.Struct, frozen=True):
    """A sample, where it was read, and whether it was learned ahead, from the urgent lane."""

    topic: str
    offset: int
    sample: Sample
    learned_ahead: bool = False


class RejectedSample(msgspec.Struct, frozen=True):
    """A sample that cannot be learned: where it is, and why."""

    topic: str
    offset: int
    reason: str


class SampleScheduler:
    """Schedules samples in the order of the log, and moves the clock by them.

    Attributes:
        started_ms: where the log began, or resumed after a silence; positives of the first `wait_ms` from there wait.
        since_ms: slots served before were skipped, so later samples of those slots are skipped too.
        urgent: what was learned ahead from the urgent lane.
        faults: number of samples that were not learned, by reason.
        rejected: those of them that belong in the quarantine.
    """

    def __init__(self, settings: LoopSettings, collator: Collator) -> None:
        self.started_ms = self.since_ms = 0
        self.clock = SampleClock(settings.wait_ms)
        self.held = HeldPositives()
        self.urgent = UrgentState()
        self.faults: Counter[str] = Counter()
        self.rejected: list[RejectedSample] = []
        self._settings = settings
        self._collator = collator

    def is_timely(self, sample: Sample | str, offset: int) -> TypeGuard[Sample]:
        """Whether a sample may move the clock now. Otherwise hold it back, or reject it if it is a reason code."""
        if isinstance(sample, str):
            self.reject(SAMPLES.name, offset, sample)
        elif not self.clock.is_timely(sample):
            self.clock.hold_back(offset, sample)
        else:
            for wrong, _ in self.clock.take_outliers():
                self.reject(SAMPLES.name, wrong, "time")
            return True
        return False

    def pass_time(self, to_ms: int) -> None:
        """Move the clock."""
        if to_ms - self.clock.at_ms > self._settings.wait_ms:
            self.started_ms = to_ms
        self.clock.at_ms = max(self.clock.at_ms, to_ms)

    def receive(self, offset: int, sample: Sample) -> Iterator[SampleRecord]:
        """Yield the sample if it is to be learned now; else hold it until its slot closes, or reject it."""
        if fault := self._fault(sample):
            self.reject(SAMPLES.name, offset, fault)
        elif self._waits(sample):
            self.held.put(sample.served_at + self._settings.wait_ms, offset, sample)
        else:
            yield self._record(offset, sample)

    def due(self) -> Iterator[SampleRecord]:
        """Yield the held samples whose slots have closed by the clock."""
        for offset, sample in self.held.due(self.clock.at_ms):
            yield self._record(offset, sample)

    def receive_urgent(self, rows: Iterable[Row]) -> Iterator[SampleRecord]:
        """Yield the samples of the urgent lane that are to be learned now."""
        for offset, sample in self.urgent.select(rows, self.clock.at_ms, cadence_ms=self._settings.cadence_ms):
            if isinstance(sample, str):
                self.reject(SAMPLES_URGENT.name, offset, sample)
            elif fault := self._fault(sample):
                self.reject(SAMPLES_URGENT.name, offset, fault)
            else:
                self.urgent.remember(sample)
                yield SampleRecord(SAMPLES_URGENT.name, offset, sample)

    @property
    def is_past_first_wait(self) -> bool:
        """Whether positives and negatives arrive together: none is held, so the urgent lane may be read."""
        return self.clock.at_ms >= self.started_ms + self._settings.wait_ms

    def skip(self, rows: Iterable[Row], *, until: int) -> None:
        """Skip the samples before offset `until`.

        Slots that have closed by then are skipped whole, with their later corrections. Slots that are still open lose
        nothing. The labels of events are held until they close, as in a new model: their negatives are still to
        come, and would teach without the positives that nobody ever clicks.
        """
        wait_ms = self._settings.wait_ms
        for offset, sample in rows:
            if offset >= until:
                break
            timely = [(offset, sample)] if self.is_timely(sample, offset) else []
            for each_offset, each in (*timely, *self.clock.due()):
                self.pass_time(each.known_at)
                if self._fault(each) is None and self._is_said_early(each):
                    self.held.put(each.served_at + wait_ms, each_offset, each)
        self.faults["skipped"] += sum(1 for _ in self.due())
        self.since_ms = max(self.since_ms, self.clock.at_ms - wait_ms)

    def reject(self, topic: str, offset: int, reason: str) -> None:
        """Count a sample that is not learned; if it is faulty, keep it for the quarantine."""
        kind = reason.partition(":")[0]
        self.faults[kind] += 1
        if kind not in _EXPECTED:
            self.rejected.append(RejectedSample(topic, offset, reason))

    def arrays(self) -> Arrays:
        """Return the state, except for the three times in a snapshot's meta."""
        return {
            "loop/held": self.held.to_array(),
            "loop/beyond": self.clock.to_array(),
            "loop/ahead": self.urgent.to_array(),
            "loop/faults": np.frombuffer(msgspec.msgpack.encode(dict(self.faults)), np.uint8),
        }

    def resume(self, arrays: Arrays, *, clock_ms: int, started_ms: int, since_ms: int) -> None:
        """Resume from `arrays` and those times."""
        self.started_ms, self.since_ms = started_ms, since_ms
        self.clock.resume(clock_ms, arrays["loop/beyond"])
        self.held.resume(arrays["loop/held"])
        self.urgent.resume(arrays["loop/ahead"])
        self.faults.update(msgspec.msgpack.decode(arrays["loop/faults"].tobytes(), type=dict[str, int]))

    def _record(self, offset: int, sample: Sample) -> SampleRecord:
        return SampleRecord(SAMPLES.name, offset, sample, self.urgent.forget(sample))

    def _fault(self, sample: Sample) -> str | None:
        if self._settings.arm not in ("", sample.arm):
            return "other_arm"
        fault = self._collator.fault(sample)
        return "skipped" if fault is None and sample.served_at < self.since_ms else fault

    def _waits(self, sample: Sample) -> bool:
        """Whether an event of the first wait said the sample, and its slot is still open."""
        wait_ms = self._settings.wait_ms
        early = self._is_said_early(sample) and sample.known_at < self.started_ms + wait_ms
        return early and sample.served_at + wait_ms > self.clock.at_ms

    def _is_said_early(self, sample: Sample) -> bool:
        """Whether an event said the sample before its slot closed: a positive, a 0, or a positive that corrects a 0."""
        if sample.kind == CORRECTION and sample.known_at >= sample.served_at + self._settings.wait_ms:
            return False
        return sample.kind == EXPLICIT or any(sample.said.values())
