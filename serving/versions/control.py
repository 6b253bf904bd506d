"""Background thread: topic `control` → aliases and course of the model, and the feature versions that answer.

A decision holds from when it has been read back, everywhere alike.
"""

import threading
import time

from lang.plan.plan import Plan
from schemas.aliases import ALIAS, PIN, followed
from schemas.control import Control, control_of
from schemas.topics import CONTROL_TOPIC
from schemas.version_policy import MODEL, Course
from serving.kafka.producer import Letter
from serving.state.state import Live
from serving.versions.pins import Pins
from store.decisions import Decisions
from store.quarantine import KafkaSend, Quarantine
from store.versions import Versions

_POLL_S = 0.1


class ControlReader:
    """Folds the topic to alias → version and puts pinned models in service."""

    def __init__(self, live: Live, pins: Pins, *, model: str, quarantine: Quarantine | None = None) -> None:
        self._live = live
        self._model = model
        self._pins = pins
        self._followed: dict[str, str] = {}
        self.aliases: dict[str, str] = {}
        self._versions = Versions()
        self.missing: set[str] = set()
        self._quarantine = quarantine

    def run(self, bootstrap: str, stop: threading.Event) -> None:
        """Follow the topic until told to stop.

        Raises:
            BrokenProgram: most decisions cannot be followed.
        """
        quarantine = self._quarantine or Quarantine("serving's control", KafkaSend(bootstrap))
        decisions = Decisions(bootstrap, quarantine)
        try:
            while not stop.is_set():
                for payload in decisions.read(_POLL_S):
                    self.take(payload)
                if decisions.at_end:
                    self.carry_out()
                    self._live.progress.control_read = True
        finally:
            decisions.close()

    def take(self, payload: bytes | None) -> None:
        """Fold one record; what speaks of other things is for others to read."""
        self._versions = self._versions.after([payload])
        self._live.course = self._live.course.after(self._model, [payload])
        self._followed = followed([payload], self._followed)
        control = control_of(payload)
        if control is None:
            return
        kind, _, name = control.name.partition("/")
        version = control.arguments.get("version")
        if f"{kind}/" == MODEL:
            self._live.courses[name] = self._live.courses.get(name, Course()).after(name, [payload])
        elif f"{kind}/" == ALIAS and control.action == PIN and name not in self._live.following and version:
            self.aliases[name] = version

    def carry_out(self) -> None:
        """Put every alias's model in service. One that is neither in memory nor on disk leaves its alias as it was."""
        self._live.followed = self._followed
        plan, groups = self._live.state.plan, self._versions.answering()
        if groups and groups != plan.groups:
            self._live.answer_by(Plan(plan.sources, groups))
        for alias, version in self.aliases.items():
            now = self._live.state.models.get(alias)
            if (now is not None and now.version == version) or version in self.missing:
                continue
            held = self._live.held(version)
            found = (held.model, held.offset) if held else self._pins.load(version)
            if found is None:
                self.missing.add(version)
                continue
            model, offset = found
            self._live.promote(alias, model, applied_at=time.time_ns() // 1_000_000, offset=offset)


def pin(alias: str, version: str, *, at: int, why: str) -> Letter:
    """The record that pins an alias."""
    record = Control(name=f"{ALIAS}{alias}", action=PIN, arguments={"version": version}, who="api", at=at, why=why)
    return letter(record)


def letter(record: Control) -> Letter:
    """A decision as it is written."""
    return Letter(topic=CONTROL_TOPIC, key=record.name, value=record.payload())
