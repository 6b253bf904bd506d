"""What the API answers is what its schema says: thousands of requests made from the schema, with a key and without."""

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import schemathesis
from google.protobuf import json_format
from hypothesis import HealthCheck, example, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from litestar import Litestar
from litestar.testing import TestClient
from schemathesis import Case, GenerationMode
from schemathesis.specs.openapi import checks

from headrace.lang.planner.load import load_plan
from headrace.schemas import recommendations_pb2 as messages
from headrace.schemas.client_records import EventRecord
from headrace.schemas.context import as_texts, context_fault
from headrace.schemas.events import Event
from headrace.serving import app
from headrace.serving.http import intake, protobuf
from headrace.serving.http.problem_types import type_of
from tests.support.api import FEATURES, HEADERS, KEYS
from tests.support.paths import TESTS
from tests.support.running_services import running_services
from tests.support.serving_states import NOW

SCHEMA = schemathesis.openapi.from_path(TESTS / "serving" / "openapi.json")
OPERATIONS = {each.ok().definition.raw["operationId"]: each.ok() for each in SCHEMA.get_all_operations()}


@schemathesis.serializer(*protobuf.MEDIA_TYPES)
def as_protobuf(_: object, value: Any) -> bytes:
    """A request as a message; one that is not valid as bytes that are no message."""
    try:
        sent = value | {"context": as_texts(value.get("context", {}))}
        return json_format.ParseDict(sent, messages.RecommendationRequest()).SerializeToString()
    except (TypeError, AttributeError, msgspec.MsgspecError, json_format.ParseError):
        return json.dumps(value, default=str).encode()


VALID = [(name, GenerationMode.POSITIVE) for name in OPERATIONS]
INVALID = [(name, GenerationMode.NEGATIVE) for name, each in OPERATIONS.items() if each.body or each.headers]
CHECKS = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.response_headers_conformance,
]
SENT = ({}, {"Authorization": "Bearer of-nobody"}, HEADERS, HEADERS, HEADERS)
SOURCE = load_plan(FEATURES).source("clickstream")
TEXTS = (None, "", " ", "x", "_x", "_tick", "a\0b", "x" * 256, "x" * 257, "click", "dwell")
NUMBERS = (0, -1, True, 1 << 31, 1 << 40, 1 << 62, 1 << 64, 1.5, 1e39, NOW, 631_151_999_999, 4_102_444_800_000)
MAPS = ([], {}, {"a": None, "b": 7, "c": True}, {"a": "\x1f"}, {"a": "x" * 1025}, {"a": {}}, {"": ""}, {"a\n": 1})
FIELDS = EventRecord.__struct_fields__
EVENTS = st.dictionaries(st.sampled_from(FIELDS), st.sampled_from((*TEXTS, *NUMBERS, *MAPS)), max_size=3)
VALID_EVENT = {"event_id": "e", "user_id": "u", "event_type": "dwell", "occurred_at": NOW, "value": 3.5}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient[Litestar]]:
    folder = tmp_path_factory.mktemp("running")
    with running_services(folder) as parts, TestClient(app.create(parts, KEYS)) as api:
        yield api


@pytest.mark.parametrize(("operation", "mode"), [*VALID, *INVALID])
def test_status_headers_and_body_are_as_the_schema_says(
    running: TestClient[Litestar], operation: str, mode: GenerationMode
) -> None:
    @examples(max_examples=150, suppress_health_check=list(HealthCheck), deadline=None)
    @given(case=OPERATIONS[operation].as_strategy(generation_mode=mode), key=st.sampled_from(SENT))
    def answered(case: Case, key: dict[str, str]) -> None:
        response = send(running, case, key)
        case.validate_response(response, checks=CHECKS)
        assert response.status_code < 500 or response.json()["type"] == type_of(503).type
        is_strict = "Expected `int`, got `float`" in response.text  # to JSON Schema, 1.0 is an integer
        if mode is GenerationMode.POSITIVE and not is_strict:
            assert response.status_code not in (400, 413), response.text

    answered()


@examples(max_examples=1000, deadline=None)
@given(changes=EVENTS)
@example(changes={})
def test_the_type_of_an_event_accepts_what_ingest_accepts(changes: dict[str, Any]) -> None:
    event = VALID_EVENT | changes
    batch = intake.judge_events([msgspec.Raw(msgspec.json.encode(event))], SOURCE, now=NOW)
    refused = {each.code for each in batch.answer.rejected} - {"late", "future"}
    try:
        record = msgspec.convert(event, EventRecord)
        fits = not context_fault(as_texts(record.context or {})) and not is_too_long(record)
    except msgspec.ValidationError:
        fits = False
    assert fits == (not refused), batch.answer.rejected


def test_python_producers_send_the_fields_that_the_api_documents() -> None:
    assert {*FIELDS, "received_at"} == {*Event.__struct_fields__}


def is_too_long(record: EventRecord) -> bool:
    return record.event_type == "dwell" and record.value is not None and not 0 <= record.value <= 86_400


def send(api: TestClient[Litestar], case: Case, key: dict[str, str]) -> Any:
    sent = case.as_transport_kwargs(base_url="http://testserver.local")
    body = {"json": sent.get("json"), "content": sent.get("data")}
    headers = {name: value.encode("latin-1") for name, value in {**sent["headers"], **key}.items()}  # as a client may
    return api.request(sent["method"], sent["url"], params=sent.get("params"), headers=headers, **body)
