"""Items as the model is asked about them."""

from msgspec import Struct

from models.array_types import Ids
from models.content import Content


class Items(Struct, frozen=True):
    """N items: `ids` [N], `categories` [N], and their vectors; None tells nothing, so that stand-ins serve."""

    ids: Ids
    categories: Ids
    content: Content | None = None
