"""The typed plan: the meaning of the feature files. Executors, store and jobs read nothing else."""

from typing import Literal, TypeAlias

from msgspec import Struct

from headrace.lang.expressions.tree import Expr
from headrace.lang.plan.source import Source
from headrace.schemas import topics

PartialOp: TypeAlias = Literal["count", "sum", "squares", "min", "max", "decayed_sum", "decayed_count"]
TileFunction: TypeAlias = Literal[
    "count", "sum", "avg", "variance", "stddev", "min", "max", "rate_of_change",
    "decayed_count", "decayed_sum", "decayed_avg",
]  # fmt: skip
SequenceFunction: TypeAlias = Literal[
    "last_n", "last", "first", "count_distinct", "approx_distinct", "percentile", "seconds_since_last",
]  # fmt: skip
Key: TypeAlias = tuple[str, ...]
"""The values of a group's entity columns, as text."""
FeatureKind: TypeAlias = Literal["number", "list", "ranking"]
EPOCH_HALF_LIVES = 16
EVERYTHING = "*"
"""The key for all keys together, kept by groups with `over_all`; no event may have it as its own key."""
OVER_ALL = "over_all."
"""DERIVE reads a column with this prefix as the feature's value for EVERYTHING."""
HEADER_CELLS = 2
"""A tile's value starts with two cells, `n` and `as_of`; the partials follow."""


class Partial(Struct, frozen=True):
    """One column of a tile, NaN (NULL in the topic) if no row of the tile has a value for it.

    `argument` None counts rows. `half_life_ms` is 0 unless `op` is decayed; its epoch is 16 half-lives.
    """

    name: str
    op: PartialOp
    argument: Expr | None
    filter: Expr | None
    half_life_ms: int = 0

    @property
    def type(self) -> Literal["BIGINT", "DOUBLE"]:
        """Its type in the tile topic."""
        return "BIGINT" if self.op == "count" else "DOUBLE"


class Family(Struct, frozen=True):
    """Tile sizes that share one list of partials and one Flink GROUP BY.

    `filter` is the OR of the partials' filters, None if a partial takes every event.
    """

    sizes_ms: tuple[int, ...]
    partials: tuple[Partial, ...]
    filter: Expr | None


class Aggregate(Struct, frozen=True):
    """A feature computed from the tiles of size `tile_ms` with `t - span_ms < start <= t`.

    `family` and `partials` are indices into `Group.families` and that family's partials. `span_ms` is the window, or
    two epochs for decayed aggregates. With `windows` above 1, the previous windows are read too. If `edge_ms` is set
    (to one tile), the tile in which the window begins counts by its share inside the window.
    """

    name: str
    function: TileFunction
    family: int
    partials: tuple[int, ...]
    tile_ms: int
    span_ms: int
    half_life_ms: int = 0
    windows: int = 1
    edge_ms: int = 0

    @property
    def reach_ms(self) -> int:
        """How far back it reads, ms."""
        return self.windows * self.span_ms + self.edge_ms


class Sequence(Struct, frozen=True):
    """A feature computed from the newest `limit` rows by (event time, event id), none older than `window_ms`.

    `lang.aggregates.sequences` defines the rows that each function keeps. `quantile` is for percentile, in [0, 1].
    """

    name: str
    function: SequenceFunction
    argument: Expr | None
    filter: Expr | None
    limit: int
    window_ms: int | None = None
    quantile: float = 0.0


class Derived(Struct, frozen=True):
    """A feature computed at read from earlier features."""

    name: str
    expression: Expr


class Rollup(Struct, frozen=True):
    """The feature `name`: the `limit` members of `entity` with the largest `by` above zero."""

    name: str
    entity: str
    member: str
    limit: int
    by: str


class Pairs(Struct, frozen=True):
    """The group folds pairs of events (see `lang.events.pairs`) instead of events.

    `keys` are the columns that both events share. With `either_order`, two events make two pairs.
    """

    column: str
    filter: Expr | None
    within_ms: int
    keys: tuple[str, ...]
    either_order: bool = False


class Sessions(Struct, frozen=True):
    """The group folds events with the marks of `lang.events.sessions`."""

    idle_ms: int


class Feature(Struct, frozen=True):
    """A feature that can be read: a number (NaN for NULL), a list of strings, or a ranking of (member, value)."""

    name: str
    kind: FeatureKind


class Group(Struct, frozen=True):
    """One feature group at one version.

    `features` lists aggregates, sequences and derived features in the order written, then rollups. With `over_all`
    every event is folded a second time under the key EVERYTHING, because a derived feature compares with it.
    `boost` names the feature by which rankings multiply a score. `max_entities` is an expectation, not enforced.
    """

    name: str
    version: int
    owner: str
    description: str
    entity: tuple[str, ...]
    source: Source
    on_missing: Literal["zero", "null"]
    features: tuple[Feature, ...]
    families: tuple[Family, ...]
    aggregates: tuple[Aggregate, ...]
    sequences: tuple[Sequence, ...]
    derived: tuple[Derived, ...]
    rollups: tuple[Rollup, ...]
    retain_ms: int
    stale_after_ms: int | None = None
    pairs: Pairs | None = None
    sessions: Sessions | None = None
    where: Expr | None = None
    over_all: bool = False
    boost: str | None = None
    max_entities: int | None = None

    @property
    def title(self) -> str:
        """`group@version`, the name in messages and in topic `control`."""
        return f"{self.name}@{self.version}"

    def has(self, feature: str) -> bool:
        """Whether it declares a feature of this name."""
        return any(each.name == feature for each in self.features)

    @property
    def tile_topic(self) -> str:
        """The compacted topic of its tiles."""
        return topics.tile_topic(self.name, self.version, retain_ms=self.retain_ms).name

    @property
    def sequence_topic(self) -> str:
        """The compacted topic of its sequence rows."""
        return topics.sequence_topic(self.name, self.version, retain_ms=self.retain_ms).name

    @property
    def partials(self) -> tuple[Partial, ...]:
        """The partial columns of its tile topic: those of all families, in order."""
        return tuple(partial for family in self.families for partial in family.partials)

    @property
    def dense(self) -> tuple[str, ...]:
        """The names of its numeric features, in order."""
        return tuple(feature.name for feature in self.features if feature.kind == "number")

    @property
    def kept_ms(self) -> dict[int, int]:
        """How long tiles of each size are kept: their window, plus the part of `retain` beyond the longest window.

        Reads may go back in time by that part: the lateness by default, more if the file sets `retain`.
        """
        span_ms: dict[int, int] = {}
        for aggregate in self.aggregates:
            span_ms[aggregate.tile_ms] = max(span_ms.get(aggregate.tile_ms, 0), aggregate.reach_ms)
        back_ms = self.retain_ms - max(span_ms.values(), default=self.retain_ms)
        return {size: span + back_ms for size, span in span_ms.items()}

    def family_of(self, size_ms: int) -> int:
        """The index of the family with this tile size.

        Raises:
            KeyError: the group has no tiles of this size.
        """
        for index, family in enumerate(self.families):
            if size_ms in family.sizes_ms:
                return index
        raise KeyError(size_ms)


class Plan(Struct, frozen=True):
    """Every source and group of a folder of feature files."""

    sources: tuple[Source, ...]
    groups: tuple[Group, ...]

    def source(self, name: str) -> Source:
        """The source of this name.

        Raises:
            KeyError: there is no such source; the message lists the sources.
        """
        for source in self.sources:
            if source.name == name:
                return source
        message = f"no source {name!r}; the sources are {', '.join(source.name for source in self.sources)}"
        raise KeyError(message)

    @property
    def event_source(self) -> Source:
        """The source of topic `events`, whatever its name: the API writes there, and serving's groups read it.

        Raises:
            KeyError: no source reads this topic; the message lists the sources.
        """
        for source in self.sources:
            if source.topic == topics.EVENTS.name:
                return source
        declared = ", ".join(f"{source.name} of {source.topic!r}" for source in self.sources) or "none"
        message = f"no source has topic {topics.EVENTS.name!r}, which the API writes; the sources are {declared}"
        raise KeyError(message)

    def for_events(self) -> "Plan":
        """The plan reduced to the event source and the groups that read it; raises as `event_source` does."""
        return self.for_source(self.event_source.name)

    def for_source(self, source: str) -> "Plan":
        """The plan reduced to one source and the groups that read it.

        Raises:
            KeyError: there is no such source.
        """
        return Plan((self.source(source),), tuple(group for group in self.groups if group.source.name == source))

    def find(self, name: str) -> Group | None:
        """The group of this name; None if the plan has none."""
        return next((group for group in self.groups if group.name == name), None)

    def group(self, name: str) -> Group:
        """The group of this name.

        Raises:
            KeyError: there is no such group; the message lists the groups.
        """
        for group in self.groups:
            if group.name == name:
                return group
        message = f"no feature group {name!r}; the groups are {', '.join(group.name for group in self.groups)}"
        raise KeyError(message)
