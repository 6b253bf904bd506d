"""All that a request reads: one immutable value, swapped by reference and read once per request."""

import threading
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Sequence

import msgspec
import numpy as np
from msgspec import Struct

from headrace.lang.plan.plan import Plan
from headrace.models.array_types import Flags, Ids, Indexes
from headrace.models.index.exact import NumpyIndex
from headrace.models.index.protocol import BuildIndex, Index
from headrace.models.ranker.fingerprint import fingerprint
from headrace.models.ranker.items import Items
from headrace.models.ranker.state import ModelState
from headrace.schemas.http import AppliedVersion, RefusedVersion
from headrace.schemas.versions.aliases import FOLLOWING, LIVE
from headrace.schemas.versions.version_policy import VersionPolicy, version_text
from headrace.serving.state import catalogue as catalogues
from headrace.serving.state.catalogue import Catalogue
from headrace.serving.state.columns import SHIPPED_COLUMNS, Columns
from headrace.serving.state.exploration_pool import ExplorationPool, build_pool
from headrace.serving.state.item_features import ItemFeatures
from headrace.serving.state.report import Report

_LISTED = 200  # applied versions that GET /v1/models lists
_RECENT = 5  # models kept in memory, so that a pin still finds the one that was live when it was requested


class ServedModel(Struct, frozen=True, kw_only=True):
    """A model with the index of the catalogue's items under it; `offset` as in `AliasState`.

    `computed` caches the fingerprint; `name` is that of a challenger or an arm's own model, empty for live and pins.
    """

    model: ModelState
    index: Index
    applied_at: int
    offset: int = -1
    name: str = ""
    computed: dict[str, str] = msgspec.field(default_factory=dict[str, str])

    @property
    def fingerprint(self) -> str:
        """Computed on first use: a million rows take a tenth of a second, and it is rarely needed."""
        if not self.computed:
            self.computed[self.version] = fingerprint(self.model)
        return self.computed[self.version]

    @property
    def version(self) -> str:
        """`epoch.seq`."""
        return self.model.version

    def indexed(self, catalogue: Catalogue, build: BuildIndex) -> "ServedModel":
        """The same model with an index of another catalogue."""
        vectors = self.model.item_vectors(Items(catalogue.ids, catalogue.categories, catalogue.content))
        return msgspec.structs.replace(self, index=build(catalogue.ids, vectors))


class ServingState(Struct, frozen=True, kw_only=True):
    """Catalogue, item features, models by alias (`live` is the newest version); `plan`: the group versions in use.

    `pool`: what exploration may draw. `taken_down`: ids, ascending, of items that were taken down after the catalogue
    was built, which takes seconds for a large one.
    """

    plan: Plan
    catalogue: Catalogue
    features: ItemFeatures
    models: dict[str, ServedModel]
    pool: ExplorationPool
    taken_down: Ids = msgspec.field(default_factory=lambda: np.zeros(0, np.int64))

    def find(self, ids: Ids) -> tuple[Indexes, Flags]:
        """(indexes in the catalogue [C], whether each may be shown [C]); the index of an unknown id is meaningless."""
        indexes, known = self.catalogue.find(ids)
        if len(self.taken_down):
            at = np.minimum(self.taken_down.searchsorted(ids), len(self.taken_down) - 1)
            known = known & (self.taken_down[at] != ids)
        return indexes, known


def state_of(plan: Plan, catalogue: Catalogue, features: ItemFeatures) -> ServingState:
    """A state without models."""
    pool = build_pool(catalogue, features.hardly_shown(catalogue.ids))
    return ServingState(plan=plan, catalogue=catalogue, features=features, models={}, pool=pool)


class Progress(Struct, kw_only=True):
    """The progress of the background threads, which alone write it. A reader may see fields of different moments.

    `stalled`: sentences about stalled consumers that keep features old. `heartbeat_at`: when the learner last sent a
    version or a heartbeat; `learned_at`: when a version with samples was last applied; ms, 0 before.
    `stopped`: threads that stopped because they could not handle most of what they read, and why, by name.
    `rejected`: number of refused versions, by check; `refused`: the last of them; `refused_in_a_row`: since a change
    was last applied. `unshadowed`: slates of live that the challenger had no time to score.
    """

    catalogue_read: bool = False
    control_read: bool = False
    deltas_read: bool = False
    applied: deque[AppliedVersion] = msgspec.field(default_factory=lambda: deque(maxlen=_LISTED))
    rejected: Counter[str] = msgspec.field(default_factory=Counter[str])
    refused: deque[RefusedVersion] = msgspec.field(default_factory=lambda: deque(maxlen=_LISTED))
    refused_in_a_row: int = 0
    stalled: Sequence[str] = ()
    heartbeat_at: int = 0
    learned_at: int = 0
    stopped: dict[str, str] = msgspec.field(default_factory=dict[str, str])
    unshadowed: int = 0


class Live:
    """Holds the current state. Reads take no lock; writes, by the background threads, take one.

    `policy`: which versions may be `live`; the control thread sets it, the deltas thread follows it. The same holds for
    `policies` of all models, by name, and for `followed`: the model that each alias follows, empty for none.
    `alias_progress`: the progress of each alias that follows a model; `following`: those aliases, which are not pinned.
    """

    def __init__(
        self,
        plan: Plan,
        following: Iterable[str] = FOLLOWING,
        build: BuildIndex = NumpyIndex,
        columns: Columns = SHIPPED_COLUMNS,
    ) -> None:
        self.state = state_of(plan, catalogues.build([]), ItemFeatures.empty(columns))
        self.progress = Progress()
        self.policy = VersionPolicy()
        self.followed: dict[str, str] = {}
        self.policies: dict[str, VersionPolicy] = {}
        self.alias_progress: dict[str, Progress] = {}
        self.following = frozenset(following)
        self._build = build
        self._writing = threading.Lock()
        self._recent: deque[ServedModel] = deque(maxlen=_RECENT)

    @property
    def report(self) -> Report:
        """What requests may know apart from the state."""
        # Readers append meanwhile, and iterating over a deque that grows raises: each is copied in one step.
        threads = (self.progress, *list(self.alias_progress.values()))
        refused = [version for thread in threads for version in list(thread.refused)]
        frozen_at = self.policy.frozen_at
        return Report(
            waiting_for=self.waiting_for(),
            stalled=list(self.progress.stalled),
            applied=list(self.progress.applied),
            refused=sorted(refused, key=lambda version: -version.at),
            rejected=dict(self.progress.rejected),
            frozen=version_text(frozen_at) if frozen_at else None,
            following=sorted(self.following),
            unshadowed=self.progress.unshadowed,
        )

    @property
    def taken_down(self) -> Ids:
        """As in the state, which there always is."""
        return self.state.taken_down

    @property
    def metrics(self) -> str:
        """Only a feeder has them."""
        return ""

    @property
    def silent_s(self) -> float:
        """The background threads are in this process."""
        return 0.0

    def set_plan(self, plan: Plan) -> None:
        """Swap the feature versions in use."""
        with self._writing:
            self._change(plan=plan)

    def set_taken_down(self, ids: Collection[int]) -> None:
        """Swap the items that are in the catalogue and must not be shown any more."""
        with self._writing:
            self._change(taken_down=np.array(sorted(ids), np.int64))

    def set_catalogue(self, catalogue: Catalogue, taken_down: Collection[int] = ()) -> None:
        """Swap the catalogue, and the index of every model with it; `taken_down` as in `ServingState`."""
        with self._writing:
            models = {alias: self._indexed(alias, served, catalogue) for alias, served in self.state.models.items()}
            pool = build_pool(catalogue, self.state.features.hardly_shown(catalogue.ids))
            taken = np.array(sorted(taken_down), np.int64)
            self._change(catalogue=catalogue, models=models, pool=pool, taken_down=taken)

    def set_features(self, features: ItemFeatures) -> None:
        """Swap the item features."""
        with self._writing:
            catalogue = self.state.catalogue
            self._change(features=features, pool=build_pool(catalogue, features.hardly_shown(catalogue.ids)))

    def promote(self, alias: str, model: ModelState, *, applied_at: int, offset: int = -1, name: str = "") -> None:
        """Serve a model under an alias."""
        none = NumpyIndex(np.zeros(0, np.int64), np.zeros((0, model.config.vector), np.float32))
        served = ServedModel(model=model, index=none, applied_at=applied_at, offset=offset, name=name)
        with self._writing:
            served = self._indexed(alias, served, self.state.catalogue)
            if not name:
                self._recent.append(served)
            self._change(models={**self.state.models, alias: served})

    def reindex(self) -> None:
        """Build the index of the live model again, because there is another base for it."""
        with self._writing:
            if served := self.state.models.get(LIVE):
                index = self._build(served.index.ids, served.index.vectors)
                self._change(models={**self.state.models, LIVE: msgspec.structs.replace(served, index=index)})

    def remove(self, alias: str) -> None:
        """Remove the model of an alias."""
        with self._writing:
            self._change(models={name: served for name, served in self.state.models.items() if name != alias})
        self.alias_progress.pop(alias, None)

    def find(self, version: str) -> ServedModel | None:
        """The model of a version that is still in memory; None otherwise."""
        with self._writing:
            known = [*self._recent, *self.state.models.values()]
        return next((served for served in known if served.version == version and not served.name), None)

    def waiting_for(self) -> list[str]:
        """What is still missing before requests may come."""
        checks: dict[str, Callable[[], bool]] = {
            "catalogue": lambda: self.progress.catalogue_read,
            "item features": lambda: self.state.features.known,
            "control": lambda: self.progress.control_read,
            "model": lambda: self.progress.deltas_read,
        }
        stopped = [f"{name}, which has stopped: {why}" for name, why in [*self.progress.stopped.items()]]
        return [name for name, done in checks.items() if not done()] + stopped

    def _indexed(self, alias: str, served: ServedModel, catalogue: Catalogue) -> ServedModel:
        """Only the live model's index is searched for candidates, so only it is worth more than an exact one."""
        return served.indexed(catalogue, self._build if alias == LIVE else NumpyIndex)

    def _change(self, **parts: object) -> None:
        self.state = msgspec.structs.replace(self.state, **parts)
