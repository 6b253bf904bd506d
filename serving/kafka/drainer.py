"""The feeder's thread that writes the spool to Kafka, oldest first, labels before views (docs/adr/0026)."""

import sys
import threading
from collections.abc import Callable, Sequence
from enum import Enum, auto
from typing import TypeAlias

from headrace.serving.kafka.producer import Record
from headrace.serving.kafka.segment import Contents
from headrace.serving.kafka.spool_folder import MB, Segment, SpoolFolder

_POLL_S = 0.1
_RETRY_S = 1.0
_ROUND_BYTES = 8 * MB  # written before anything is removed: what a crash makes the next drainer repeat


class Outcome(Enum):
    """What became of a record: the broker has it, will never take it, or may have it."""

    WRITTEN = auto()
    REFUSED = auto()
    UNKNOWN = auto()


Deliver: TypeAlias = Callable[[Sequence[Record], threading.Event], Sequence[Outcome]]
"""Writes records in order and waits for their outcomes. They are unknown only if the event was set, or it broke."""


class Drainer:
    """Drains one folder. `torn` counts last writes that were cut short when a worker died."""

    def __init__(self, folder: SpoolFolder, deliver: Deliver) -> None:
        self._folder = folder
        self._deliver = deliver
        self.torn = 0

    def run(self, stop: threading.Event) -> None:
        """Drain until `stop` is set."""
        with self._folder.draining(stop) as mine:
            while mine and not stop.wait(_POLL_S):
                try:
                    while self.turn(stop):
                        pass
                except OSError as error:
                    sys.stderr.write(f"the spool {self._folder.path} cannot be drained: {error}\n")
                    stop.wait(_RETRY_S)

    def turn(self, stop: threading.Event) -> bool:
        """Write some segments and remove them; True if more may be ready."""
        self.torn += self._folder.adopt()
        chosen = self._choose()
        records = [record for _, contents in chosen for record in contents.records]
        outcomes = self._deliver(records, stop) if records else []
        if Outcome.WRITTEN in outcomes:
            self._folder.note_drained()
        begin = 0
        for found, contents in chosen:
            end = begin + len(contents.records)
            if Outcome.UNKNOWN in outcomes[begin:end]:
                stop.wait(_RETRY_S)
                return False
            self._finish(found, contents, outcomes[begin:end])
            begin = end
        return bool(chosen) and not stop.is_set()

    def _choose(self) -> list[tuple[Segment, Contents]]:
        chosen: list[tuple[Segment, Contents]] = []
        size = 0
        for found in self._folder.segments():
            if found.state == "ready":
                size += found.size
                if chosen and size > _ROUND_BYTES:
                    break
                chosen.append((found, self._folder.read(found)))
        return chosen

    def _finish(self, found: Segment, contents: Contents, outcomes: Sequence[Outcome]) -> None:
        if contents.fault:
            path = self._folder.set_aside(found, "damaged")
            sys.stderr.write(f"{path} is damaged at byte {contents.end}: {len(contents.records)} records before it\n")
        elif Outcome.REFUSED in outcomes:
            path = self._folder.set_aside(found, "refused")
            count = outcomes.count(Outcome.REFUSED)
            sys.stderr.write(
                f"the broker refuses {count} of {len(outcomes)} records of {path}; the others are written\n"
            )
        else:
            self._folder.remove(found)
