"""Decisions on topic `control`: promote, follow, pin, rollback, freeze. The current state is a fold of the topic."""

from msgspec import Struct, structs

from headrace.schemas.avro import Unreadable, contract_of

SERVING = "serving"
"""`who` of the decisions that serving takes by itself."""


class Control(Struct, frozen=True, kw_only=True):
    """One decision about `name`: what was decided, by whom, when (ms) and why."""

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
    """Decode a record of the topic; None if it is not a decision."""
    try:
        return Control(**CONTROL.decode(payload or b""))
    except (Unreadable, TypeError):
        return None
