"""What the reference says of each word of the language that the code does not say itself."""

from msgspec import Struct

NUMBER = "INT, BIGINT, DOUBLE"
KEEPABLE = "STRING, BIGINT, INT"
HALF_LIFE = ("half_life", "duration", "after how long a value weighs half, a second or more")
FLOATS = "exact up to the order in which floats are added: 1e-9 of the value"
WINDOW = "Its window is made of tiles: never more than its length, at least its length less one tile."
AHEAD = "; an event of a clock ahead of ours counts from its receipt"
"""What `means` of tiles ends with: `lang.events.gate.counted_at`."""


class Entry(Struct, frozen=True, kw_only=True):
    """One page.

    Attributes:
        sentence: what it is.
        signature: how it is written, `[…]` for what may be left out.
        arguments: (name, types, meaning).
        example: a group from SELECT on, over the columns of `lang.reference.pages.SOURCE`.
        means: its value at time t, as `lang.executors.oracle` computes it.
        exact: exact, or how far it may be off.
    """

    sentence: str
    signature: str
    arguments: tuple[tuple[str, str, str], ...]
    example: str
    means: str
    exact: str
