"""What the stages pass on: the query, the hydrated user, candidates and slots."""

from collections.abc import Sequence

import numpy as np
from msgspec import Struct, field

from headrace.models.array_types import Doubles, Flags, Floats, Ids, Indexes
from headrace.schemas.http import Explain
from headrace.schemas.ids import hash64
from headrace.serving.state.experiment import Arm


def ids_of(texts: Sequence[str]) -> Ids:
    """String ids as numbers, as models know them. [n]."""
    return np.array([hash64(text) for text in texts], np.int64)


class Taste(Struct, frozen=True, kw_only=True):
    """A user's taste for a category: decayed affinity, skips, and all impressions and clicks ever."""

    affinity: float = 0.0
    skips_1h: float = 0.0
    skips_24h: float = 0.0
    imps_ever: float = 0.0
    clicks_ever: float = 0.0


class Neighbours(Struct, frozen=True):
    """The neighbours of a history's items: `ids` [M], strongest first, `strength` [M], summed over the history.

    `by_newest` [M] is the strength by the newest item alone; `nearest_to` [M] is the index in the history of the item
    that each is the strongest neighbour of.
    """

    ids: Ids
    strength: Doubles
    by_newest: Doubles
    nearest_to: Indexes

    @classmethod
    def none(cls) -> "Neighbours":
        """Of an empty history."""
        return cls(np.zeros(0, np.int64), np.zeros(0), np.zeros(0), np.zeros(0, np.int64))


class MemberValues(Struct, frozen=True):
    """A number of a user by the value of `column`, category or seller; `absent` for the other ones."""

    column: str
    by_member: dict[str, float]
    absent: float


class User(Struct, frozen=True, kw_only=True):
    """The user as read from the store.

    Attributes:
        history: item ids clicked, newest first. `history_ids`: their numbers.
        numbers: by name of the user's inputs.
        tastes: by category. `top`: the categories liked most, best first; for a new user `trends` instead.
        crosses: inputs by category or seller, by name.
        boosts: factors on scores, by column (`category`, `seller`) and its value.
        neighbours: items that go with those of the history, by the feature that ranks them (`group.feature`).
        nulls: by feature read, whether the store had no value; empty if the store did not answer.
    """

    history: list[str]
    history_ids: Ids
    numbers: dict[str, float]
    tastes: dict[str, Taste]
    top: list[str]
    neighbours: dict[str, Neighbours] = field(default_factory=dict[str, Neighbours])
    trends: Sequence[str] = ()
    crosses: dict[str, MemberValues] = field(default_factory=dict[str, MemberValues])
    boosts: dict[str, dict[str, float]] = field(default_factory=dict[str, dict[str, float]])
    nulls: dict[str, bool] = field(default_factory=dict[str, bool])

    @classmethod
    def unknown(cls) -> "User":
        """A user never seen, or a store that does not answer."""
        return cls(
            history=[],
            history_ids=np.zeros(0, np.int64),
            numbers={},
            tastes={},
            top=[],
        )

    def has_clicked(self, ids: Ids) -> Flags:
        """Which items are in the history, [C] -> [C]. It is short, so comparing all pairs is faster than `np.isin`."""
        return (ids[:, None] == self.history_ids).any(axis=1)  # [C, n]

    def neighbours_by(self, feature: str) -> Neighbours:
        """The history's neighbours by this ranking."""
        return self.neighbours.get(feature) or Neighbours.none()

    def explains(self, feature: str, item: int) -> str:
        """The item of the history that a neighbour goes with most."""
        neighbours = self.neighbours_by(feature)
        return self.history[int(neighbours.nearest_to[neighbours.ids == item][0])]


class Query(Struct, frozen=True, kw_only=True):
    """A parsed request. `user_id` is the anonymous id if that was given; `seed` is that of exploration.

    `exclude`: items that must not be in the answer; `earlier`: those of them that earlier pages showed. `user` is
    unknown until hydrated.
    """

    request_id: str
    user_id: str
    session_id: str
    surface: str
    count: int
    at_ms: int
    seed: int
    arm: Arm
    context: dict[str, str] = field(default_factory=dict[str, str])
    exclude: Ids = field(default_factory=lambda: np.zeros(0, np.int64))
    earlier: Ids = field(default_factory=lambda: np.zeros(0, np.int64))
    user: User = field(default_factory=User.unknown)
    explain: Explain = "none"


class Candidates(Struct, frozen=True, kw_only=True):
    """C items. `found_by` [C] has the bit of each source that proposed the item; `indexes` [C] in the catalogue."""

    ids: Ids
    found_by: Indexes
    indexes: Indexes

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, chosen: Indexes) -> "Candidates":
        """The candidates at `chosen`."""
        return Candidates(ids=self.ids[chosen], found_by=self.found_by[chosen], indexes=self.indexes[chosen])


class Scored(Struct, frozen=True, kw_only=True):
    """Candidates with their scores.

    Attributes:
        score: [C], orders them; float32 once boosted. `click`: [C], the chance of the score head.
        dense: [C, F], the ranker's inputs as served. `lift`: [C], the factor by which boosts multiplied the score.
    """

    candidates: Candidates
    score: Floats | Doubles
    click: Floats
    dense: Floats
    lift: Doubles


class Slot(Struct, frozen=True, kw_only=True):
    """One position of the slate: the item's index among the scored, and the probability that it is shown here."""

    index: int
    propensity: float
    explored: bool = False


class Faults(Struct, kw_only=True):
    """What went wrong while one request was answered: the worst level, and every reason."""

    level: int = 0
    reasons: list[str] = field(default_factory=list[str])

    def note(self, level: int, reason: str) -> None:
        """Add a fault."""
        self.level = max(self.level, level)
        self.reasons.append(reason)
