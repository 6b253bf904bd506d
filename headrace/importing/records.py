"""What a row becomes: a record of the log, or a refusal with its reason."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct

from headrace.importing.cells import ColumnKind
from headrace.store.kafka.resumable_writer import OutgoingRecord


class RefusedRow(Exception):
    """A row cannot be used; the message is `<code>: <what was seen, what was expected>`."""


class Target(Struct, frozen=True, kw_only=True):
    """A column that rows can fill. A map has entries, which a file's columns can fill one by one."""

    name: str
    kind: ColumnKind
    required: bool = False


class RowMaker(Protocol):
    """Makes records of one topic."""

    topic: str

    @property
    def targets(self) -> Sequence[Target]:
        """The columns that rows can fill."""
        ...

    def record(self, row: Mapping[str, Any], row_id: str) -> OutgoingRecord:
        """The record of a row.

        Args:
            row: its values by column, as JSON would hold them; missing values are left out.
            row_id: an id that the same row of the same file always has.

        Raises:
            RefusedRow: the row breaks a rule.
        """
        ...
