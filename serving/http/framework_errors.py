"""What is wrong with a request that the framework refused: its own texts name neither headers nor values."""

from typing import Any, get_args

from litestar import Request
from litestar.exceptions import HTTPException, MethodNotAllowedException, NotFoundException
from litestar.exceptions.http_exceptions import RequestEntityTooLarge
from litestar.params import HeaderParameter

from headrace.schemas.json_text import one_of
from headrace.schemas.limits import BODY_BYTES

_SHOWN_CHARS = 100
_Request = Request[Any, Any, Any]


def detail_of(error: HTTPException, request: _Request) -> str:
    """What was sent, and what is expected."""
    path = f"{request.scope['path'][:_SHOWN_CHARS]!a}"
    match error:
        case NotFoundException():
            return f"There is no path {path}."
        case MethodNotAllowedException():
            return f"The path {path} has no method {request.method}."
        case RequestEntityTooLarge():
            return _too_large(request)
        case _:
            faults = error.extra if isinstance(error.extra, list) else []
            return " ".join(_fault(fault, request) for fault in faults) or error.detail


def _too_large(request: _Request) -> str:
    """The framework stops to read at the limit, so only an announced size is known."""
    announced = request.headers.get("content-length", "")
    size = announced if announced.isdecimal() else f"more than {BODY_BYTES}"
    return f"The body has {size} bytes, at most {BODY_BYTES} are accepted."


def _fault(fault: dict[str, str], request: _Request) -> str:
    """One parameter of the handler that could not be filled."""
    name = fault.get("key", "")
    field = request.route_handler.parsed_fn_signature.parameters.get(name)
    if fault.get("source") == "body":
        return "The body is empty, must be a JSON object."
    if field is None or not isinstance(limits := field.kwarg_definition, HeaderParameter):
        return f"{name}: {fault.get('message', '')}."
    sent = request.headers.get(limits.name or name, "")
    expected = f"a whole number from {limits.ge} to {limits.le}"
    if field.is_literal:
        expected = one_of(get_args(field.annotation))
    return f"The header {limits.name} is {sent[:_SHOWN_CHARS]!a}, must be {expected}."
