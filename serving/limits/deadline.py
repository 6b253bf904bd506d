"""How long the answer to a request is of use."""

import time

from msgspec import Struct

DEFAULT_MS = 500
"""Half a second: a person has seen the page without the slate by then."""


class Deadline(Struct, frozen=True):
    """The time at which a request arrived and the time from which its answer is useless, seconds of the clock."""

    received_s: float
    at_s: float

    @classmethod
    def after(cls, allowed_ms: float, *, received_s: float) -> "Deadline":
        """The deadline `allowed_ms` after a request was received."""
        return cls(received_s, received_s + allowed_ms / 1000)

    @property
    def allowed_ms(self) -> float:
        """Milliseconds between the request and its deadline."""
        return (self.at_s - self.received_s) * 1000

    def elapsed_ms(self) -> float:
        """Milliseconds since the request was received."""
        return (time.monotonic() - self.received_s) * 1000

    def remaining_ms(self) -> float:
        """Milliseconds that remain; negative once it has passed."""
        return (self.at_s - time.monotonic()) * 1000
