"""What goes wrong between a device and the log: events that come twice, and events held back."""

from msgspec import Struct
from numpy.random import Generator

from schemas.events import Event

_AGAIN_S = 4.0  # longest time until the second copy
_HELD_S, _LONGEST_S = 15.0, 90.0  # mean and longest time that a device holds an event back


class Rates(Struct, frozen=True, kw_only=True):
    """Shares of all events: sent twice, held back out of order, and poison besides."""

    twice: float = 0.02
    held_back: float = 0.05
    poison: float = 0.001


class Sending(Struct, frozen=True):
    """An event and when it leaves, ms; `copy` for a second time."""

    at_ms: int
    event: Event
    copy: bool = False


class Mischief:
    """Decides when, and how often, an event is sent."""

    def __init__(self, rates: Rates, generator: Generator) -> None:
        self._rates = rates
        self._random = generator

    def sendings(self, event: Event) -> list[Sending]:
        """Once, at its time, for most events."""
        random, sent_ms = self._random, event.occurred_at
        if random.random() < self._rates.held_back:
            sent_ms += round(1000 * min(1.0 + random.exponential(_HELD_S), _LONGEST_S))
        sendings = [Sending(sent_ms, event)]
        if random.random() < self._rates.twice:
            sendings.append(Sending(sent_ms + round(1000 * random.uniform(0.5, _AGAIN_S)), event, copy=True))
        return sendings

    def poisons(self) -> bool:
        """Whether a poison record goes out beside the next event."""
        return bool(self._random.random() < self._rates.poison)
