"""What of the log is learnt now, what waits, and what is set aside. No I/O."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TypeGuard

import msgspec
import numpy as np

from learner.clock import SampleClock
from learner.collate import Collator
from learner.held_positives import HeldPositives
from learner.settings import LoopSettings
from learner.urgent_state import Row, UrgentState
from models.arrays import Arrays
from schemas.samples import CORRECTION, Sample
from schemas.topics import SAMPLES, SAMPLES_URGENT

_NO_FAULT_OF_THEIRS = ("feature_set", "other_arm", "skipped")  # samples that are left out, and nothing is wrong with


class SampleRecord(msgspec.Struct, frozen=True):
    """A sample, where it was read, and whether it was learned ahead, from the urgent lane."""

    topic: str
    offset: int
    sample: Sample
    learned_ahead: bool = False


class RejectedSample(msgspec.Struct, frozen=True):
    """A sample that cannot be learnt: where it lies, and why."""

    topic: str
    offset: int
    reason: str


class SampleScheduler:
    """Samples in the log's order, with the clock they move.

    Attributes:
        started_ms: where the log began, or went on after a silence: positives of the first `wait_ms` from there wait.
        since_ms: slots served before were left out, so what comes of them still is left out, too.
        ahead: what was taken from the urgent lane. `faults`: samples that are not learnt, by reason.
        aside: those of them that are to be written to the quarantine.
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
        """Whether it is a sample's turn. If not it is held back, or set aside by the code that stands for it."""
        if isinstance(sample, str):
            self.reject(SAMPLES.name, offset, sample)
        elif not self.clock.is_timely(sample):
            self.clock.hold_back(offset, sample)
        else:
            for place, _ in self.clock.take_outliers():
                self.reject(SAMPLES.name, place, "time")
            return True
        return False

    def pass_time(self, to_ms: int) -> None:
        """Move the clock."""
        if to_ms - self.clock.at_ms > self._settings.wait_ms:
            self.started_ms = to_ms
        self.clock.at_ms = max(self.clock.at_ms, to_ms)

    def receive(self, offset: int, sample: Sample) -> Iterator[SampleRecord]:
        """The sample, if it is to be learnt now; else it waits until its slot closes, or is set aside."""
        if fault := self._fault(sample):
            self.reject(SAMPLES.name, offset, fault)
        elif self._waits(sample):
            self.held.put(sample.served_at + self._settings.wait_ms, offset, sample)
        else:
            yield self._read(offset, sample)

    def due(self) -> Iterator[SampleRecord]:
        """The samples that have waited for the clock."""
        for offset, sample in self.held.due(self.clock.at_ms):
            yield self._read(offset, sample)

    def receive_urgent(self, rows: Iterable[Row]) -> Iterator[SampleRecord]:
        """What rows of the urgent lane bring."""
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
        """Whether positives and negatives come side by side: none waits, and the lane may be read ahead."""
        return self.clock.at_ms >= self.started_ms + self._settings.wait_ms

    def skip(self, rows: Iterable[Row], *, until: int) -> None:
        """Pass over the samples up to an offset.

        Slots that have closed by then are left out whole, with the corrections of them still to come. Of those still
        open nothing is lost: their positives wait until they close, as in a new model, for their negatives are
        yet to come, and without the positives would teach that nobody ever clicks.
        """
        wait_ms = self._settings.wait_ms
        for offset, sample in rows:
            if offset >= until:
                break
            timely = [(offset, sample)] if self.is_timely(sample, offset) else []
            for place, each in (*timely, *self.clock.due()):
                self.pass_time(each.known_at)
                if self._fault(each) is None and _is_positive(each):
                    self.held.put(each.served_at + wait_ms, place, each)
        self.faults["skipped"] += sum(1 for _ in self.due())
        self.since_ms = max(self.since_ms, self.clock.at_ms - wait_ms)

    def reject(self, topic: str, offset: int, reason: str) -> None:
        """Count a sample that is not learnt; where something is wrong with it, for the quarantine."""
        kind = reason.partition(":")[0]
        self.faults[kind] += 1
        if kind not in _NO_FAULT_OF_THEIRS:
            self.rejected.append(RejectedSample(topic, offset, reason))

    def arrays(self) -> Arrays:
        """State, but for the three times that a snapshot's meta has."""
        return {
            "loop/held": self.held.to_array(),
            "loop/beyond": self.clock.to_array(),
            "loop/ahead": self.urgent.to_array(),
            "loop/faults": np.frombuffer(msgspec.msgpack.encode(dict(self.faults)), np.uint8),
        }

    def resume(self, arrays: Arrays, *, clock_ms: int, started_ms: int, since_ms: int) -> None:
        """Go on from `arrays` and those times."""
        self.started_ms, self.since_ms = started_ms, since_ms
        self.clock.resume(clock_ms, arrays["loop/beyond"])
        self.held.resume(arrays["loop/held"])
        self.urgent.resume(arrays["loop/ahead"])
        self.faults.update(msgspec.msgpack.decode(arrays["loop/faults"].tobytes(), type=dict[str, int]))

    def _read(self, offset: int, sample: Sample) -> SampleRecord:
        return SampleRecord(SAMPLES.name, offset, sample, self.urgent.forget(sample))

    def _fault(self, sample: Sample) -> str | None:
        if self._settings.arm not in ("", sample.arm):
            return "other_arm"
        fault = self._collator.fault(sample)
        return "skipped" if fault is None and sample.served_at < self.since_ms else fault

    def _waits(self, sample: Sample) -> bool:
        """Whether a sample is a positive of the first wait whose slot is still open."""
        wait_ms = self._settings.wait_ms
        early = _is_positive(sample) and sample.known_at < self.started_ms + wait_ms
        return early and sample.served_at + wait_ms > self.clock.at_ms


def _is_positive(sample: Sample) -> bool:
    return sample.kind != CORRECTION and bool(sample.click or sample.converted or sample.engagement)
