"""Operators' words: promote, alias, pin, rollback, freeze. Aliases are the fold of the topic."""

from msgspec import Struct

from schemas.avro import Contract, mapping, record


class Control(Struct, frozen=True, kw_only=True):
    """One decision about the thing called `name`: what, who, when (ms), why."""

    name: str
    action: str
    arguments: dict[str, str]
    who: str
    at: int
    why: str


CONTROL = Contract(
    record(
        {
            "name": "string",
            "action": "string",
            "arguments": mapping("string"),
            "who": "string",
            "at": "long",
            "why": "string",
        }
    )
)
