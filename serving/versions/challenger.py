"""Background threads: the versions of models other than live's own (docs/adr/0017, 0018).

These are the challenger, the model of the season, and the models that arms name.
"""

import threading
from collections.abc import Callable

from msgspec import Struct

from headrace.models.ranker.config import RankerConfig
from headrace.models.ranker.state import ModelState
from headrace.schemas.versions.version_policy import VersionPolicy
from headrace.serving.kafka.producer import Record
from headrace.serving.state.state import Live, Progress
from headrace.serving.versions.delta_reader import DeltaReader
from headrace.serving.versions.followed_model import FollowedModel
from headrace.store.location import Location
from headrace.store.snapshot_files import snapshots_of

_POLL_S = 0.1


class ModelSlot:
    """The slot of an alias other than `live`. Its models carry a name, and its progress is its own."""

    def __init__(self, live: Live, alias: str, name: str) -> None:
        self._live = live
        self._name = name
        self.progress = live.alias_progress[alias] = Progress()

    @property
    def policy(self) -> VersionPolicy:
        """Which of the model's versions may be served."""
        return self._live.policies.get(self._name, VersionPolicy())

    def promote(self, alias: str, model: ModelState, *, applied_at: int, offset: int = -1) -> None:
        """Serve a version under the alias."""
        self._live.promote(alias, model, applied_at=applied_at, offset=offset, name=self._name)


class VersionSource(Struct, frozen=True, kw_only=True):
    """Where versions and snapshots come from, their key and their settings, and where decisions are sent."""

    bootstrap: str
    snapshots: Location
    key: bytes
    send: Callable[[Record], bool]
    config: RankerConfig = RankerConfig()


class Challenger:
    """Keeps an alias at the newest version of the model that `followed` names; without a model if that is empty."""

    def __init__(self, live: Live, source: VersionSource, *, alias: str, followed: Callable[[], str]) -> None:
        self._live = live
        self._source = source
        self.alias = alias
        self._followed = followed

    def run(self, stop: threading.Event) -> None:
        """Follow until `stop` is set, once the version policies are known."""
        while not stop.wait(_POLL_S):
            name = self._followed() if self._live.progress.control_read else ""
            if name:
                self._follow(name, lambda name=name: stop.is_set() or self._followed() != name)

    def _follow(self, name: str, is_over: Callable[[], bool]) -> None:
        source, slot = self._source, ModelSlot(self._live, self.alias, name)
        snapshots = snapshots_of(source.snapshots, name)
        followed = FollowedModel(name=name, key=source.key, snapshots=snapshots, config=source.config)
        reader = DeltaReader(slot, followed, send=source.send, alias=self.alias)
        try:
            reader.follow(source.bootstrap, is_over)
        finally:
            self._live.remove(self.alias)
