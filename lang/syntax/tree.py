"""The syntax tree of a feature file: words and spans, before names and types are resolved."""

from msgspec import Struct

from headrace.lang.syntax.duration import Duration
from headrace.lang.syntax.lexer import Span, Token


class Name(Struct, frozen=True):
    """A word and its position."""

    text: str
    span: Span


class Sql(Struct, frozen=True):
    """The text of a SQL expression and its position; `{w}` is not replaced yet."""

    text: str
    offset: int

    @property
    def span(self) -> Span:
        """Its offset and length."""
        return self.offset, len(self.text)


class Option(Struct, frozen=True):
    """One entry of a header: its word and the tokens after it."""

    name: Name
    values: tuple[Token, ...]


class Argument(Struct, frozen=True):
    """An argument of an aggregate; `name` is set for `name => value`, `distinct` after DISTINCT."""

    value: Sql
    name: Name | None = None
    distinct: bool = False


class Measure(Struct, frozen=True):
    """One aggregate of SELECT; `windows` has more than one only for OVER EACH."""

    function: Name
    arguments: tuple[Argument, ...]
    filter: Sql | None
    windows: tuple[Duration, ...]
    alias: Name


class Derivation(Struct, frozen=True):
    """One expression of DERIVE."""

    expression: Sql
    windows: tuple[Duration, ...]
    alias: Name


class Ranking(Struct, frozen=True):
    """ROLLUP entity AS name: top_k(member, limit, by => feature)."""

    entity: Name
    name: Name
    member: Name
    limit: int
    by: Name


class PairsOf(Struct, frozen=True):
    """pairs(source, column, WHERE filter, WITHIN 'duration' [ACROSS SESSIONS] [EITHER ORDER])."""

    column: Name
    filter: Sql | None
    within: Duration
    across_sessions: bool
    either_order: bool


class SessionsOf(Struct, frozen=True):
    """sessions(source, 'duration')."""

    idle: Duration


class GroupTree(Struct, frozen=True):
    """A FEATURE GROUP file."""

    name: Name
    options: tuple[Option, ...]
    measures: tuple[Measure, ...]
    source: Name
    relation: PairsOf | SessionsOf | None
    where: Sql | None
    group_by: tuple[Name, ...]
    rankings: tuple[Ranking, ...]
    derivations: tuple[Derivation, ...]


class ColumnTree(Struct, frozen=True):
    """A column declaration, its type not checked yet; `expression` is set if the column is computed."""

    name: Name
    type: Name
    required: bool
    expression: Sql | None = None
    most_chars: int | None = None
    check: Sql | None = None


class StampTree(Struct, frozen=True):
    """stamp table (columns) ON key = lookup; `lookup` is None if not written."""

    table: Name
    columns: tuple[ColumnTree, ...]
    key: Name
    lookup: Name | None


class SourceTree(Struct, frozen=True):
    """A SOURCE file."""

    name: Name
    options: tuple[Option, ...]
    columns: tuple[ColumnTree, ...]
