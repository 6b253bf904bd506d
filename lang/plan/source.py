"""A declared stream: its topic, its columns and what makes an event acceptable."""

from msgspec import UNSET, Struct, UnsetType

from headrace.lang.expressions.tree import ColumnType, Expr
from headrace.lang.plan.roles import USUAL, Roles
from headrace.schemas.limits import EARLIEST_MS, LATEST_MS, TEXT_CHARS
from headrace.schemas.topics import EVENTS_CLEAN

CATALOGUE = "items"
"""The table of items, as feature files call it; it needs no declaration."""


class Check(Struct, frozen=True):
    """A condition that events must satisfy; NULL passes. `text` is the condition as written."""

    column: str
    text: str
    condition: Expr


class SourceColumn(Struct, frozen=True, omit_defaults=True):
    """A column of the topic. `most_chars` limits a STRING."""

    name: str
    type: ColumnType
    required: bool = False
    most_chars: int = TEXT_CHARS


class ComputedColumn(Struct, frozen=True):
    """A column that ingest computes from declared and stamped ones."""

    name: str
    type: ColumnType
    expression: Expr


class Stamp(Struct, frozen=True):
    """Columns that ingest copies onto the event from the latest record of a table at the event's `received_at`.

    The table holds the accepted records of `stream`, or the catalogue of items if `stream` is None. The record is the
    one whose column `lookup` equals the event's column `key`.
    """

    key: str
    lookup: str
    columns: tuple[SourceColumn, ...]
    stream: "Source | None" = None

    @property
    def table(self) -> str:
        """Its name in feature files."""
        return self.stream.name if self.stream else CATALOGUE


class Bot(Struct, frozen=True):
    """Limits accepted events to `most` per value of `key` and `each_ms` of `received_at`; the rest are refused."""

    key: str
    each_ms: int
    most: int


class Source(Struct, frozen=True):
    """The declaration of a stream, which the ingest job and every group that reads the stream follow.

    `masked`: columns whose values ingest replaces with a keyed hash. `retain_ms`: retention of the clean topic.
    `times_ms`: event times and `received_at` must be at or after the first and before the second. `renamed`: its
    roles if any has another column than usual, otherwise unset, so that it is written without them, as it always was.
    """

    name: str
    topic: str
    event_time: str
    lateness_ms: int
    future_ms: int
    dedupe: str
    dedupe_within_ms: int
    columns: tuple[SourceColumn, ...]
    stamps: tuple[Stamp, ...] = ()
    masked: tuple[str, ...] = ()
    computed: tuple[ComputedColumn, ...] = ()
    bot: Bot | None = None
    retain_ms: int = EVENTS_CLEAN.retention_ms
    checks: tuple[Check, ...] = ()
    times_ms: tuple[int, int] = (EARLIEST_MS, LATEST_MS)
    renamed: Roles | UnsetType = UNSET

    @property
    def roles(self) -> Roles:
        """The columns that the program itself reads."""
        return USUAL if self.renamed is UNSET else self.renamed

    @property
    def streams(self) -> tuple["Source", ...]:
        """The streams it needs, each after those that it is stamped from; itself last."""
        needed = (each for stamp in self.stamps if stamp.stream for each in stamp.stream.streams)
        return tuple({each.name: each for each in (*needed, self)}.values())

    @property
    def event_columns(self) -> tuple[SourceColumn, ...]:
        """The columns of an accepted event: declared ones, then stamped ones, then computed ones."""
        computed = tuple(SourceColumn(column.name, column.type) for column in self.computed)
        return self.columns + tuple(column for stamp in self.stamps for column in stamp.columns) + computed

    @property
    def key(self) -> str:
        """The column that keys the clean topic: that of the user if the source has one, else the dedupe column."""
        return self.roles.user if self.type_of(self.roles.user) else self.dedupe

    @property
    def hashed(self) -> tuple[str, ...]:
        """Columns that hold hashes: masked columns, and columns stamped from hashed ones."""
        given = (
            column.name
            for stamp in self.stamps
            if stamp.stream is not None
            for column in stamp.columns
            if column.name in stamp.stream.hashed
        )
        return (*self.masked, *given)

    def type_of(self, name: str) -> ColumnType | None:
        """The type of a column of an accepted event, None if there is no such column."""
        return next((column.type for column in self.event_columns if column.name == name), None)
