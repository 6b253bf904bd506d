"""An item of the catalogue: an absolute record; a takedown is a record too."""

from msgspec import Struct, field

from schemas.avro import Contract, Later, array, mapping, nullable, record


class Item(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One item. `born_at` is when it may first be shown, `received_at` when our edge saw this record, both ms.

    Attributes:
        content: vectors by the modality's name, such as an image's; those that nobody declared are passed over.
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
    content: dict[str, list[float]] = field(default_factory=dict[str, list[float]])


ITEM = Contract(
    record(
        {
            "item_id": "string",
            "category": "string",
            "title": nullable("string"),
            "price": nullable("double"),
            "seller": nullable("string"),
            "tags": array("string"),
            "stock": nullable("long"),
            "born_at": "long",
            "received_at": "long",
            "takedown": "boolean",
            "content": Later(mapping(array("float"))),
        }
    )
)
