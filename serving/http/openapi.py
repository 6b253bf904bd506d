"""The API's schema: paths from the framework, types from msgspec, which knows every limit."""

import inspect
import re
from functools import cache
from typing import Any

import msgspec
from litestar.connection import Request
from litestar.openapi.plugins import JsonRenderPlugin
from msgspec import Struct

from headrace.lang.plan.source import Source
from headrace.schemas import client_records, http
from headrace.schemas.limits import MAP_ENTRIES, MAP_VALUE_CHARS, NO_CONTROL_PATTERN, TEXT_CHARS
from headrace.serving.http import event_schema, protobuf
from headrace.serving.http.problem_types import RETRIED, TYPES

SCHEMA = "/schema/openapi.json"
_READ_SCHEMA = {
    "operationId": "readSchema",
    "summary": "This schema",
    "tags": ["health"],
    "security": [{}],
    "responses": {
        "200": {"description": "OpenAPI 3.1", "content": {"application/vnd.oai.openapi+json": {"schema": {}}}}
    },
}
_NAMED = [{"required": [name], "properties": {name: {"type": "string"}}} for name in ("user_id", "anonymous_id")]
_USER = {"allOf": [{"anyOf": _NAMED}]}  # to openapi-typescript, a bare `anyOf` next to properties is an alternative
_TEXT = {"type": "string", "pattern": NO_CONTROL_PATTERN}
_CONTEXT = {
    "type": "object",
    "maxProperties": MAP_ENTRIES,
    "propertyNames": _TEXT | {"maxLength": TEXT_CHARS},
    "additionalProperties": {
        "anyOf": [_TEXT | {"maxLength": MAP_VALUE_CHARS}, {"type": ["number", "boolean", "null"]}]
    },
}
HEADERS = {
    "X-Request-Id": "the request's, or a new one; the server's log has it",
    "Server-Timing": "time of each stage",
    "X-Degraded-Level": "L0 to L6, as `degraded.level`",
    "Retry-After": "seconds after which the same request may succeed",
    "RateLimit-Policy": "requests that the key may send at once, and the seconds after which it may again",
    "RateLimit": "requests that remain of them, and the seconds until all are back",
}


class TypedSchema(JsonRenderPlugin):
    """The schema as it is served; `source`: that of the events, if one is declared."""

    def __init__(self, source: Source | None = None) -> None:
        super().__init__(path="/")
        self._source = source

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """The schema as JSON."""
        schema, source = complete(openapi_schema), self._source
        if source is not None and event_schema.has_own_names(source):
            types = schema["components"]["schemas"]
            types = {**types, "EventRecord": event_schema.describe_columns(types["EventRecord"], source)}
            schema["components"] = {**schema["components"], "schemas": types}
        return msgspec.json.encode(schema)


def complete(schema: dict[str, Any]) -> dict[str, Any]:
    """The framework's schema with complete types, the headers of answers, and its own address."""
    paths: dict[str, Any] = {**schema["paths"], SCHEMA: {"get": _READ_SCHEMA}}
    for methods in paths.values():
        for operation in methods.values():
            if operation["operationId"] == "recommend":
                protobuf.describe(operation)
            for parameter in operation.get("parameters", ()):
                if parameter["in"] in ("path", "query"):
                    _limit(parameter["schema"])
            for status, response in operation["responses"].items():
                names = _headers(operation, status)
                headers = {name: {"description": HEADERS[name], "schema": {"type": "string"}} for name in names}
                operation["responses"][status] = {**response, "headers": headers}
    components = {**schema["components"], "schemas": _types()}
    return {**schema, "paths": paths, "components": components}


def _limit(schema: dict[str, Any]) -> None:
    """Texts in an address are ids, alone or in a list; the handlers check them after decoding (`id_of`)."""
    if schema["type"] == "array":
        _limit(schema["items"])
    else:
        schema |= msgspec.json.schema(http.Id)


def _headers(operation: dict[str, Any], status: str) -> list[str]:
    names = ["X-Request-Id"]
    if operation["operationId"] == "recommend" and status == "200":
        names += ["Server-Timing", "X-Degraded-Level"]
    if int(status) in RETRIED:
        names.append("Retry-After")
    return names


@cache
def _types() -> dict[str, Any]:
    """The types of bodies, with the texts of their docstrings."""
    types = [
        each
        for module in (http, client_records)
        for each in vars(module).values()
        if inspect.isclass(each) and issubclass(each, Struct) and each.__module__ == module.__name__
    ]
    _, schemas = msgspec.json.schema_components(types, ref_template=http.SCHEMAS + "{name}")
    for schema in schemas.values():
        description, attributes = _texts(schema.get("description", ""))
        schema["description"] = description
        for field, text in attributes.items():
            schema["properties"][field]["description"] = text
    schemas["RecommendationRequest"] |= _USER
    for name in ("RecommendationRequest", "EventRecord"):  # limits that `schemas.context` checks, not the type
        properties = schemas[name]["properties"]
        properties["context"] = {**_CONTEXT, "description": properties["context"]["description"]}
    schemas["Problem"]["properties"]["type"]["examples"] = [each.type for each in TYPES]
    return schemas


def _texts(docstring: str) -> tuple[str, dict[str, str]]:
    r"""What a docstring says of the type, and of each of its attributes.

    >>> _texts("A slate.\n\nAttributes:\n    count: how many\n        items.\n    surface: where.")
    ('A slate.', {'count': 'how many items.', 'surface': 'where.'})
    """
    text, _, rest = inspect.cleandoc(docstring).partition("\n\nAttributes:\n")
    found = re.findall(r"^    (\w+): (.*(?:\n     .*)*)", rest, re.MULTILINE)
    return " ".join(text.split()), {name: " ".join(words.split()) for name, words in found}
