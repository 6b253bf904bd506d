"""Operators' words: promote, alias, pin, rollback, freeze. Aliases are the fold of the topic."""

from msgspec import Struct, structs

from schemas.avro import Unreadable, contract_of


class Control(Struct, frozen=True, kw_only=True):
    """One decision about the thing called `name`: what, who, when (ms), why."""

    name: str
    action: str
    arguments: dict[str, str]
    who: str
    at: int
    why: str

    def payload(self) -> bytes:
        """The record's value on the topic."""
        return CONTROL.encode(structs.asdict(self))


CONTROL = contract_of(Control)


def control_of(payload: bytes | None) -> Control | None:
    """A record of the topic; None for what is none of ours."""
    try:
        return Control(**CONTROL.decode(payload or b""))
    except (Unreadable, TypeError):
        return None
