"""`GET /schema/recommendations.proto`: the messages of slates, for clients to generate code from."""

from importlib.resources import files

from litestar import MediaType, get

from headrace.serving.http.auth import OPEN

_TEXT = (files("headrace.schemas") / "recommendations.proto").read_text(encoding="utf-8")


@get(
    "/schema/recommendations.proto",
    opt={OPEN: True},
    sync_to_thread=False,
    media_type=MediaType.TEXT,
    operation_id="readProtobuf",
    summary="The protobuf messages of slates",
    tags=["health"],
    security=[{}],
)
def read_protobuf() -> str:
    """The file from which a client generates its messages; its package is `headrace.v1`."""
    return _TEXT
