"""The typed plan: what the feature files mean, and all that the executors, the store and the jobs read."""

from typing import Literal, TypeAlias

from msgspec import Struct

from lang.expressions.tree import Expr
from lang.plan.source import Source
from schemas import topics

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
"""The key of all keys together, kept by groups with `over_all`; no event's own key may be it."""
OVER_ALL = "over_all."
"""DERIVE reads a column of this prefix as the feature's value for EVERYTHING."""
HEADER_CELLS = 2
"""A tile's value starts with two cells, `n` and `as_of`; partials follow."""


class Partial(Struct, frozen=True):
    """One column of a tile, NaN (in the topic NULL) where no row of the tile gave it a value.

    `argument` None counts rows. `half_life_ms` is 0 unless `op` is decayed, whose epoch is 16 half-lives.
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

    `filter` is the OR of the partials' filters, None where a partial takes every event.
    """

    sizes_ms: tuple[int, ...]
    partials: tuple[Partial, ...]
    filter: Expr | None


class Aggregate(Struct, frozen=True):
    """A feature finished from the tiles of size `tile_ms` with `t - span_ms < start <= t`.

    `family` and `partials` are indices into `Group.families` and that family's partials. `span_ms` is the
    window, for decayed aggregates two epochs. With `windows` above 1 the windows just before are read too. With
    `edge_ms`, one tile, the tile that the window begins in counts by the share of it that lies inside.
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
        """How far back it reads."""
        return self.windows * self.span_ms + self.edge_ms


class Sequence(Struct, frozen=True):
    """A feature finished from the newest `limit` rows by (event time, event id), none older than `window_ms`.

    `lang.aggregates.sequences` tells which rows those are for each function. `quantile` is percentile's, in [0, 1].
    """

    name: str
    function: SequenceFunction
    argument: Expr | None
    filter: Expr | None
    limit: int
    window_ms: int | None = None
    quantile: float = 0.0


class Derived(Struct, frozen=True):
    """A feature computed at read from features named before it."""

    name: str
    expression: Expr


class Rollup(Struct, frozen=True):
    """The `limit` members of `entity` with the largest `by` above zero, read under the name `name`."""

    name: str
    entity: str
    member: str
    limit: int
    by: str


class Pairs(Struct, frozen=True):
    """The group folds pairs of events (see `lang.events.pairs`) instead of events.

    `keys` are columns that both share. With `either_order` two events make a pair each way.
    """

    column: str
    filter: Expr | None
    within_ms: int
    keys: tuple[str, ...]
    either_order: bool = False


class Sessions(Struct, frozen=True):
    """The group reads events marked by the visits they belong to, as `lang.events.sessions` marks them."""

    idle_ms: int


class Feature(Struct, frozen=True):
    """A name the group answers to: a number (NaN for NULL), a list of strings, or a ranking of (member, value)."""

    name: str
    kind: FeatureKind


class Group(Struct, frozen=True):
    """One feature group at one version.

    `features` lists aggregates, sequences and derived features in the order written, then rollups. With `over_all`
    every event is folded a second time under the key EVERYTHING, because a derived feature compares with it.
    `boost` names the feature by which rankings multiply a score. `max_entities` is what its owner expects, not a gate.
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
        """`group@version`, as people and topic `control` name it."""
        return f"{self.name}@{self.version}"

    @property
    def tile_topic(self) -> str:
        """The compacted topic its tiles are written to."""
        return topics.tile_topic(self.name, self.version, retain_ms=self.retain_ms).name

    @property
    def sequence_topic(self) -> str:
        """The compacted topic its sequence rows are written to."""
        return topics.sequence_topic(self.name, self.version, retain_ms=self.retain_ms).name

    @property
    def partials(self) -> tuple[Partial, ...]:
        """The partial columns of its tile topic: those of every family, in order."""
        return tuple(partial for family in self.families for partial in family.partials)

    @property
    def dense(self) -> tuple[str, ...]:
        """The names of its numeric features, in order."""
        return tuple(feature.name for feature in self.features if feature.kind == "number")

    @property
    def kept_ms(self) -> dict[int, int]:
        """How long tiles of each size are kept: for their window and for what `retain` goes beyond the longest one.

        Reads may go that far back in time: by default the lateness, more where the file says `retain`.
        """
        span_ms: dict[int, int] = {}
        for aggregate in self.aggregates:
            span_ms[aggregate.tile_ms] = max(span_ms.get(aggregate.tile_ms, 0), aggregate.reach_ms)
        back_ms = self.retain_ms - max(span_ms.values(), default=self.retain_ms)
        return {size: span + back_ms for size, span in span_ms.items()}

    def family_of(self, size_ms: int) -> int:
        """The index of the family that a tile of this size belongs to.

        Raises:
            KeyError: the group has no tile of this size.
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
            KeyError: no such source; the message lists those there are.
        """
        for source in self.sources:
            if source.name == name:
                return source
        message = f"no source {name!r}; there are {', '.join(source.name for source in self.sources)}"
        raise KeyError(message)

    def for_source(self, source: str) -> "Plan":
        """The part of it that folds the events of one source.

        Raises:
            KeyError: no such source.
        """
        return Plan((self.source(source),), tuple(group for group in self.groups if group.source.name == source))

    def group(self, name: str) -> Group:
        """The group of this name.

        Raises:
            KeyError: no such group; the message lists those there are.
        """
        for group in self.groups:
            if group.name == name:
                return group
        message = f"no feature group {name!r}; there are {', '.join(group.name for group in self.groups)}"
        raise KeyError(message)
