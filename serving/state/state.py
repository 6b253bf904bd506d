"""All that a request reads: one immutable value, pinned once a request, swapped by reference."""

import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence

import msgspec
import numpy as np
from msgspec import Struct

from lang.plan.plan import Plan
from models.fingerprint import fingerprint
from models.index import BuildIndex, Index
from models.index_numpy import NumpyIndex
from models.items import Items
from models.state import ModelState
from schemas.aliases import FOLLOWING
from schemas.http import AppliedVersion, RefusedVersion
from schemas.version_policy import Course
from serving.state import catalogue as catalogues
from serving.state.catalogue import Catalogue
from serving.state.item_features import ItemFeatures

_REMEMBERED = 200  # applied versions told by GET /v1/models
_HELD = 5  # last models kept, so that a pin still finds the one that was live when it was asked for


class ServedModel(Struct, frozen=True, kw_only=True):
    """A model with the index of the catalogue's items under it; `offset` as in `AliasState`.

    `asked` keeps the fingerprint once it was asked for; `name` is that of a challenger or of an arm's own model,
    empty for the model that is live and what is pinned of it.
    """

    model: ModelState
    index: Index
    applied_at: int
    offset: int = -1
    name: str = ""
    asked: dict[str, str] = msgspec.field(default_factory=dict[str, str])

    @property
    def fingerprint(self) -> str:
        """Taken when it is first asked for: a million rows take a tenth of a second, and few ask."""
        if not self.asked:
            self.asked[self.version] = fingerprint(self.model)
        return self.asked[self.version]

    @property
    def version(self) -> str:
        """`epoch.seq`."""
        return self.model.version

    def indexed(self, catalogue: Catalogue, build: BuildIndex) -> "ServedModel":
        """The same model over another catalogue."""
        vectors = self.model.item_vectors(Items(catalogue.ids, catalogue.categories, catalogue.content))
        return msgspec.structs.replace(self, index=build(catalogue.ids, vectors))


class ServingState(Struct, frozen=True, kw_only=True):
    """Catalogue, item features, models by alias (`live` is the newest version); `plan`: the groups that answer."""

    plan: Plan
    catalogue: Catalogue
    features: ItemFeatures
    models: dict[str, ServedModel]


class Progress(Struct, kw_only=True):
    """How far the background threads have come. Only those write; a reader may see a mixture of moments.

    `stalled`: which consumers keep features old by not moving, in words. `heard_at`: when the learner last sent a
    version or a heartbeat; `learnt_at`: when a version that had learnt something was applied; ms, 0 before.
    `stopped`: threads that have stopped, by name, because most of what they read could not be handled, and why.
    `rejected`: versions refused, by check; `refused`: the last of them; `in_a_row`: since a change was applied.
    """

    catalogue_read: bool = False
    control_read: bool = False
    deltas_read: bool = False
    applied: deque[AppliedVersion] = msgspec.field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    rejected: Counter[str] = msgspec.field(default_factory=Counter[str])
    refused: deque[RefusedVersion] = msgspec.field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    in_a_row: int = 0
    stalled: Sequence[str] = ()
    heard_at: int = 0
    learnt_at: int = 0
    stopped: dict[str, str] = msgspec.field(default_factory=dict[str, str])


class Live:
    """Holds the current state. Reading takes no lock; writers, the background threads, take turns.

    `course`: which versions may be `live`, as decided; the control thread swaps it, the deltas thread follows. So too
    `courses` of all models, by name, and `followed`, the models of the challenger and of the season, empty for none.
    `seats`: how far each alias has come that follows a model; `following`: those aliases, which are not pinned.
    """

    def __init__(self, plan: Plan, following: Iterable[str] = FOLLOWING, build: BuildIndex = NumpyIndex) -> None:
        self.state = ServingState(plan=plan, catalogue=catalogues.build([]), features=ItemFeatures.empty(), models={})
        self.progress = Progress()
        self.course = Course()
        self.followed: dict[str, str] = {}
        self.courses: dict[str, Course] = {}
        self.seats: dict[str, Progress] = {}
        self.following = frozenset(following)
        self._build = build
        self._writing = threading.Lock()
        self._held: deque[ServedModel] = deque(maxlen=_HELD)

    def answer_by(self, plan: Plan) -> None:
        """Swap the feature versions that answer."""
        with self._writing:
            self._change(plan=plan)

    def show(self, catalogue: Catalogue) -> None:
        """Swap the catalogue, and the index of every model with it."""
        with self._writing:
            models = {alias: served.indexed(catalogue, self._build) for alias, served in self.state.models.items()}
            self._change(catalogue=catalogue, models=models)

    def warm(self, features: ItemFeatures) -> None:
        """Swap the item features."""
        with self._writing:
            self._change(features=features)

    def promote(self, alias: str, model: ModelState, *, applied_at: int, offset: int = -1, name: str = "") -> None:
        """Put a model under an alias."""
        none = NumpyIndex(np.zeros(0, np.int64), np.zeros((0, model.config.vector), np.float32))
        served = ServedModel(model=model, index=none, applied_at=applied_at, offset=offset, name=name)
        with self._writing:
            served = served.indexed(self.state.catalogue, self._build)
            if not name:
                self._held.append(served)
            self._change(models={**self.state.models, alias: served})

    def vacate(self, alias: str) -> None:
        """Leave an alias without a model."""
        with self._writing:
            self._change(models={name: served for name, served in self.state.models.items() if name != alias})
        self.seats.pop(alias, None)

    def held(self, version: str) -> ServedModel | None:
        """A model of this version that is still in memory."""
        with self._writing:
            known = [*self._held, *self.state.models.values()]
        return next((served for served in known if served.version == version and not served.name), None)

    def waiting_for(self) -> list[str]:
        """What must be there before requests may come, and is not."""
        checks: dict[str, Callable[[], bool]] = {
            "catalogue": lambda: self.progress.catalogue_read,
            "item features": lambda: self.state.features.known,
            "control": lambda: self.progress.control_read,
            "model": lambda: self.progress.deltas_read,
        }
        stopped = [f"{name}, which has stopped: {why}" for name, why in [*self.progress.stopped.items()]]
        return [name for name, done in checks.items() if not done()] + stopped

    def _change(self, **parts: object) -> None:
        self.state = msgspec.structs.replace(self.state, **parts)
