"""Background thread: topic `control` → aliases, version policies, and the feature versions in use.

A decision takes effect when it has been read back, in this process as in every other.
"""

import threading

from headrace.lang.plan.plan import Plan
from headrace.models.ranker.state import ModelState
from headrace.schemas.control import Control, control_of
from headrace.schemas.times import now_ms
from headrace.schemas.topics import CONTROL_TOPIC
from headrace.schemas.versions.aliases import ALIAS, PIN, followed_models
from headrace.schemas.versions.version_policy import MODEL, VersionPolicy
from headrace.serving.kafka.producer import Record
from headrace.serving.state.state import Live
from headrace.serving.versions.pins import Pins
from headrace.store.kafka.decision_reader import DecisionReader
from headrace.store.kafka.quarantine import KafkaSend, Quarantine
from headrace.store.location import Outage
from headrace.store.versions import Versions

_POLL_S = 0.1


class ControlReader:
    """Folds the topic, and serves pinned models under their aliases."""

    def __init__(self, live: Live, pins: Pins, *, model: str, quarantine: Quarantine | None = None) -> None:
        self._live = live
        self._model = model
        self._pins = pins
        self._followed: dict[str, str] = {}
        self.aliases: dict[str, str] = {}
        self._versions = Versions()
        self.missing: set[str] = set()
        self._quarantine = quarantine
        self._outage = Outage()

    def run(self, bootstrap: str, stop: threading.Event) -> None:
        """Follow the topic until `stop` is set.

        Raises:
            BrokenProgram: most decisions cannot be applied.
        """
        quarantine = self._quarantine or Quarantine("serving's control", KafkaSend(bootstrap))
        decisions = DecisionReader(bootstrap, quarantine)
        try:
            while not stop.is_set():
                for payload in decisions.read(_POLL_S):
                    self.take(payload)
                if decisions.at_end:
                    self.apply()
                    self._live.progress.control_read = True
        finally:
            decisions.close()

    def take(self, payload: bytes | None) -> None:
        """Fold one record. Records about other things are ignored."""
        self._versions = self._versions.apply_all([payload])
        self._live.policy = self._live.policy.apply_all(self._model, [payload])
        self._followed = followed_models([payload], self._followed)
        control = control_of(payload)
        if control is None:
            return
        kind, _, name = control.name.partition("/")
        version = control.arguments.get("version")
        if f"{kind}/" == MODEL:
            self._live.policies[name] = self._live.policies.get(name, VersionPolicy()).apply_all(name, [payload])
        elif f"{kind}/" == ALIAS and control.action == PIN and name not in self._live.following and version:
            self.aliases[name] = version

    def apply(self) -> None:
        """Apply what was read. An alias pinned to a version that is not found stays as it was."""
        self._live.followed = self._followed
        plan, groups = self._live.state.plan, self._versions.live_groups()
        if groups and groups != plan.groups:
            self._live.set_plan(Plan(plan.sources, groups))
        for alias, version in self.aliases.items():
            now = self._live.state.models.get(alias)
            if (now is not None and now.version == version) or version in self.missing:
                continue
            found = self._pinned(version)
            if found is not None:
                model, offset = found
                self._live.promote(alias, model, applied_at=now_ms(), offset=offset)

    def _pinned(self, version: str) -> tuple[ModelState, int] | None:
        """A version and the offset of its samples, from memory or from where it was pinned; None without it."""
        if (served := self._live.find(version)) is not None:
            return served.model, served.offset
        if not self._outage.lasts:
            with self._outage.watch(f"pinned version {version}"):
                found = self._pins.load(version)
                if found is None:
                    self.missing.add(version)
                return found
        return None


def pin(alias: str, version: str, *, at: int, why: str) -> Record:
    """The record that pins an alias."""
    decision = Control(name=f"{ALIAS}{alias}", action=PIN, arguments={"version": version}, who="api", at=at, why=why)
    return record_of(decision)


def record_of(decision: Control) -> Record:
    """A decision as a record of topic `control`."""
    return Record(topic=CONTROL_TOPIC, key=decision.name, value=decision.payload())
