"""A record that could not be used, with the reason and the place it came from."""

from msgspec import Struct

from schemas.avro import Contract, nullable, record


class Dead(Struct, frozen=True, kw_only=True):
    """One dead letter. `reason` is `<code>: <what was seen, what was expected>`; `at` is the append time, ms."""

    reason: str
    topic: str
    partition: int
    offset: int
    payload: bytes | None
    at: int


DEAD = Contract(
    record(
        {
            "reason": "string",
            "topic": "string",
            "partition": "int",
            "offset": "long",
            "payload": nullable("bytes"),
            "at": "long",
        }
    )
)
