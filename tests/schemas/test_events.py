"""The event that Python producers send has the columns that the shipped source declares."""

from headrace.lang.planner.load import load_plan
from headrace.layout import FEATURES
from headrace.schemas.events import Event


def test_the_event_has_the_declared_columns() -> None:
    source = load_plan(FEATURES).source("clickstream")
    assert sorted(Event.__struct_fields__) == sorted(column.name for column in source.columns)
