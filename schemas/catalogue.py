"""An item of the catalogue. A record replaces the previous one of its item; a takedown is a record too."""

from typing import Annotated

from msgspec import Struct, field, structs

from headrace.schemas.avro import LATER, Float32, contract_of


class Item(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One item. `born_at` is when it may first be shown, `received_at` when the API received this record, both ms.

    Attributes:
        content: vectors by modality, such as `image`; undeclared modalities are ignored.
    """

    item_id: str
    category: str
    title: str | None = None
    price: float | None = None
    seller: str | None = None
    tags: list[str] = field(default_factory=list[str])
    stock: int | None = None
    born_at: int = 0
    received_at: int = 0
    takedown: bool = False
    content: Annotated[dict[str, list[Float32]], LATER] = field(default_factory=dict[str, list[float]])

    def payload(self) -> bytes:
        """The record's value on the topic."""
        return ITEM.encode(structs.asdict(self))


ITEM = contract_of(Item)
