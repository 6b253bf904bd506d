"""Items to score or to embed."""

from msgspec import Struct

from headrace.models.array_types import Ids
from headrace.models.content.vectors import Content


class Items(Struct, frozen=True):
    """N items: `ids` [N], `categories` [N], and their vectors; without vectors, stand-ins are used."""

    ids: Ids
    categories: Ids
    content: Content | None = None
