"""The API's schema of an event, for a source whose columns have other names than the API's."""

from typing import Any

import msgspec

from headrace.lang.events.api_events import columns_by_api_name
from headrace.lang.expressions.tree import ColumnType
from headrace.lang.plan.clean_topic import RECEIVED_AT
from headrace.lang.plan.source import Source, SourceColumn
from headrace.schemas.client_records import EventType, Int32, Number
from headrace.schemas.context import Int64
from headrace.schemas.limits import NO_CONTROL_PATTERN, TEXT_PATTERN

_NUMBERS: dict[ColumnType, Any] = {"BIGINT": Int64, "INT": Int32, "DOUBLE": Number, "BOOLEAN": bool}
_DESCRIBED = ("event_id", "request_id", "position", "context")  # the others' words are those of the shipped source


def has_own_names(source: Source) -> bool:
    """Whether the source calls a column otherwise than the API does."""
    return any(name != column for name, column in columns_by_api_name(source).items())


def describe_columns(event: dict[str, Any], source: Source) -> dict[str, Any]:
    """The schema of an event in the source's columns; `event` is that of the API's own names."""
    names, known = columns_by_api_name(source), event["properties"]
    sent = [column for column in source.columns if column.name != RECEIVED_AT]
    properties = {column.name: _property(column, source, known["context"]) for column in sent}
    for name in _DESCRIBED:
        if names[name] in properties:
            properties[names[name]]["description"] = known[name]["description"]
    identity = f"`{source.dedupe}`, `{source.key}` and `{source.event_time}`"
    text = f"What a user did, in the columns of source {source.name}. Two events with the same {identity} are one."
    required = [column.name for column in sent if column.required]
    return {**event, "description": text, "properties": properties, "required": required}


def _property(column: SourceColumn, source: Source, context: dict[str, Any]) -> dict[str, Any]:
    if column.type == "MAP<STRING, STRING>":
        return {name: value for name, value in context.items() if name != "description"}
    if column.name == source.event_time:
        return {"type": "integer", "minimum": source.times_ms[0], "exclusiveMaximum": source.times_ms[1]}
    if column.type == "STRING":
        shape = {"type": "string", "maxLength": column.most_chars}
        shape |= {"minLength": 1, "pattern": TEXT_PATTERN} if column.required else {"pattern": NO_CONTROL_PATTERN}
        if column.name == source.roles.event_type:
            shape["pattern"] = msgspec.json.schema(EventType)["pattern"]
    else:
        shape = msgspec.json.schema(_NUMBERS[column.type])
    return shape if column.required else {"anyOf": [shape, {"type": "null"}], "default": None}
