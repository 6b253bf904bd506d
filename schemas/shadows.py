"""A challenger's predictions for a slate that live served: topic `shadows`."""

from msgspec import Struct, structs

from headrace.schemas.avro import Unreadable, contract_of


class Shadow(Struct, frozen=True, kw_only=True):
    """One slate. `click`: probability of a click by position; `version`: of `model`; `served_at`: ms."""

    request_id: str
    served_at: int
    model: str
    version: str
    click: list[float]

    def payload(self) -> bytes:
        """The record's value on the topic."""
        return SHADOW.encode(structs.asdict(self))


SHADOW = contract_of(Shadow)


def shadow_of(payload: bytes) -> Shadow | None:
    """Decode a record of the topic; None if it is not a shadow."""
    try:
        return Shadow(**SHADOW.decode(payload))
    except (Unreadable, TypeError):
        return None
