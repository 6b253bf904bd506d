"""The hand-written part of a reference page; the rest is generated from the code."""

from msgspec import Struct

NUMBER = "INT, BIGINT, DOUBLE"
KEEPABLE = "STRING, BIGINT, INT"
HALF_LIFE = ("half_life", "duration", "the time after which a value weighs half; at least one second")
FLOATS = "exact up to the order in which floats are added: 1e-9 of the value"
WINDOW = "A window consists of whole tiles, so its effective length is the declared one or up to one tile less."
AHEAD = "; an event whose time is after its receipt counts from its receipt"
"""The end of `means` for tile aggregates; see `lang.events.gate.counted_at`."""


class Entry(Struct, frozen=True, kw_only=True):
    """The text of one page.

    Attributes:
        sentence: what it is.
        signature: the syntax, with optional parts in `[…]`.
        arguments: (name, types, meaning).
        example: a group from SELECT on, over the columns of `lang.reference.pages.SOURCE`.
        means: its value at time t, as `lang.executors.oracle` computes it.
        exact: "exact", or the size of the error.
    """

    sentence: str
    signature: str
    arguments: tuple[tuple[str, str, str], ...]
    example: str
    means: str
    exact: str
