"""Slates as protobuf (schemas/recommendations.proto), for clients that ask for it by `Accept` or send it."""

from functools import lru_cache
from typing import Any

import msgspec
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet
from litestar import Request, Response
from litestar.datastructures import Accept
from litestar.datastructures.headers import MediaTypeHeader

from headrace.schemas import recommendations_pb2 as messages
from headrace.schemas.http import RecommendationAnswer, RecommendationRequest
from headrace.serving.http.body import Strict
from headrace.serving.http.problems import invalid

JSON = "application/json"
MEDIA_TYPES = ("application/x-protobuf", "application/protobuf")
_OFFERED = [JSON, *MEDIA_TYPES]  # a client that accepts all of them equally gets the first


class SlateBody(Strict[RecommendationRequest]):
    """The body of a request for a slate: JSON, unless its `Content-Type` is that of protobuf."""

    def decode_bytes(self, value: bytes) -> RecommendationRequest:
        """The body as a request; both formats are checked by the same types."""
        sent = self.asgi_connection.headers.get("content-type", "").partition(";")[0].strip().lower()
        return super().decode_bytes(_as_json(value) if sent in MEDIA_TYPES else value)


def slate_response(
    request: Request[Any, Any, Any], answer: RecommendationAnswer, headers: dict[str, str]
) -> Response[Any]:
    """The answer in the format that the request prefers."""
    media_type = preferred(request.headers.get("accept", ""))
    return Response(answer if media_type == JSON else encode(answer), media_type=media_type, headers=headers)


@lru_cache(64)
def preferred(accept: str) -> str:
    """The media type that a header `Accept` prefers. A client that accepts none of them gets JSON, as it always did.

    >>> preferred("application/json;q=0.5, application/x-protobuf")
    'application/x-protobuf'
    >>> preferred("application/x-protobuf;q=0, */*")
    'application/json'
    """
    try:
        named = [each for each in accept.split(",") if MediaTypeHeader(each).priority[0] > 0]  # q=0 refuses a type
    except OverflowError:  # q=inf
        return JSON
    return Accept(",".join(named)).best_match(_OFFERED, JSON)


def encode(answer: RecommendationAnswer) -> bytes:
    """An answer as the message of the same name."""
    return messages.RecommendationAnswer(**msgspec.to_builtins(answer)).SerializeToString()


def describe(operation: dict[str, Any]) -> None:
    """Add protobuf to an operation of the schema: its messages have the fields of the JSON."""
    for body in (operation["requestBody"], operation["responses"]["200"]):
        body["content"] |= dict.fromkeys(MEDIA_TYPES, body["content"][JSON])


def _as_json(body: bytes) -> bytes:
    """A protobuf body as the JSON that says the same.

    Raises:
        ProblemError: it is not the message, or has unknown fields.
    """
    message = messages.RecommendationRequest()
    try:
        message.ParseFromString(body)
    except DecodeError as error:
        detail = "The body is not a protobuf message headrace.v1.RecommendationRequest."
        raise invalid(detail, fix="Send the message of /schema/recommendations.proto, or JSON.") from error
    if unknown := [field.field_number for field in UnknownFieldSet(message)]:
        detail = f"Object contains unknown field number {unknown[0]} of headrace.v1.RecommendationRequest."
        raise invalid(detail, fix="Send only fields of /schema/recommendations.proto.")
    return msgspec.json.encode(MessageToDict(message, preserving_proto_field_name=True))
