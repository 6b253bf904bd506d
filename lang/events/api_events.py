"""Events as the program itself makes them, in the API's names, and as a source declares them."""

from typing import cast

from msgspec import structs

from headrace.lang.expressions.per_event import Event as Fields
from headrace.lang.plan.source import Source
from headrace.schemas.events import Event


def columns_by_api_name(source: Source) -> dict[str, str]:
    """The source's column for each field of the API's event. The source need not declare it."""
    return source.roles.by_api_name | {"event_id": source.dedupe, "occurred_at": source.event_time}


class EventColumns:
    """Renames the fields of events to the columns of one source."""

    def __init__(self, source: Source) -> None:
        self._names = columns_by_api_name(source)

    def of(self, event: Event) -> Fields:
        """The event in the source's columns; those that it has no value for are NULL."""
        given = structs.asdict(event).items()
        return cast(Fields, {self._names.get(name, name): value for name, value in given})

    def record(self, event: Event) -> Fields:
        """The same without the columns that it has no value for, as a producer writes it."""
        return {name: value for name, value in self.of(event).items() if value is not None}
