"""The columns of a source that the program itself reads: who did what to which item, and in answer to which slate."""

from msgspec import Struct
from msgspec.structs import fields

from headrace.lang.expressions.tree import ColumnType


class Roles(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The column of each role. The defaults are the names that the API has for them.

    A source need not have a column for every role; without one, its events say nothing about it.

    Attributes:
        event_type: those that begin with `_` are ticks and markers, which no group folds.
        request, position: the slate that the event is feedback to, and the place in it.
        value: what a head of seconds learns.
        context: entries that computed columns read; a request for a slate has them too.
    """

    user: str = "user_id"
    item: str = "item_id"
    event_type: str = "event_type"
    session: str = "session_id"
    request: str = "request_id"
    position: str = "position"
    value: str = "value"
    context: str = "context"

    @property
    def by_api_name(self) -> dict[str, str]:
        """The column of each role, by the API's name of the role."""
        return {str(field.default): getattr(self, field.name) for field in fields(self)}


USUAL = Roles()
"""The roles of a source that declares none."""
ROLE_TYPES: dict[str, ColumnType] = {
    "user": "STRING",
    "item": "STRING",
    "event_type": "STRING",
    "session": "STRING",
    "request": "STRING",
    "position": "INT",
    "value": "DOUBLE",
    "context": "MAP<STRING, STRING>",
}
"""The type that a role's column must have."""
