"""The kinds of errors: what `type` of a problem says, one for each HTTP status. docs/api.md lists them too."""

from headrace.schemas.http import ProblemType

FOLDER = "/schema/problems/"
"""A kind's URI is this and its name; relative, because only the reader of an answer knows the API's host."""

RETRIED = (429, 503)


def _type(name: str, status: int, title: str, meaning: str, fix: str, *, retry: bool = False) -> ProblemType:
    return ProblemType(type=FOLDER + name, title=title, status=status, meaning=meaning, fix=fix, retry=retry)


TYPES = (
    _type(
        "invalid",
        400,
        "The request is not valid",
        "A field of the body, a header, or a part of the address is not as the schema says; `pointer` names the field.",
        "Correct the request; /schema/openapi.json has the types.",
    ),
    _type(
        "unauthorized",
        401,
        "No valid key",
        "The header `Authorization` is absent, or its token belongs to no key.",
        "Send the header `Authorization: Bearer TOKEN`; `headrace keys add` makes a token.",
    ),
    _type(
        "forbidden",
        403,
        "The key may not do this",
        "The key is valid, but has not the scope, surface, class of traffic or origin of this request.",
        "Use a key that has it, or give it to this one: `headrace keys list` shows what each may do.",
    ),
    _type(
        "not-found",
        404,
        "Not found",
        "There is no such path, feature group or item. An unknown user is no error: they get a slate.",
        "See /schema/openapi.json for the paths.",
    ),
    _type(
        "method",
        405,
        "Method not allowed",
        "The path exists, but not with this method; the header `Allow` lists those it has.",
        "See /schema/openapi.json for the methods of this path.",
    ),
    _type(
        "slow-body",
        408,
        "The body did not arrive",
        "The request announced a body that was not complete in ten seconds.",
        "Send the whole body at once, or over a faster connection.",
    ),
    _type(
        "conflict",
        409,
        "Conflict with the current state",
        "The request names a version that is no longer the live one.",
        "Read the state again with GET /v1/models, and repeat the request with it.",
    ),
    _type(
        "too-large",
        413,
        "The body is too large",
        "A body has at most 256 KB.",
        "Send fewer records at once: a body has at most 256 KB.",
    ),
    _type(
        "rate-limit",
        429,
        "Too many requests",
        "The key has used up its requests; `RateLimit` says how many remain, `Retry-After` when there is one again.",
        "Send the same request again after the seconds in Retry-After, and fewer of them.",
    ),
    _type(
        "internal",
        500,
        "Internal error",
        "The API has a bug; the server's log has more under the request's `X-Request-Id`.",
        "Look at the log.",
    ),
    _type(
        "unavailable",
        503,
        "Service unavailable",
        "The store, Kafka or this worker cannot answer in time. Nothing is wrong with the request.",
        "Send the same request again after the seconds in Retry-After.",
    ),
)
_BY_STATUS = {each.status: each for each in TYPES}


def type_of(status: int) -> ProblemType:
    """The kind of an error with this status; a status without one counts as 400 or 500."""
    return _BY_STATUS.get(status) or _BY_STATUS[400 if status < 500 else 500]
