"""Faults between a device and the log: duplicated events and delayed events."""

from msgspec import Struct
from numpy.random import Generator

from headrace.schemas.events import Event

_COPY_MOST_S = 4.0  # longest time until the second copy
_DELAY_S, _DELAY_MOST_S = 15.0, 90.0  # mean and longest time that a device holds an event back


class FaultRates(Struct, frozen=True, kw_only=True):
    """Shares of all events that are duplicated and held back; `poison`: poison records per event."""

    duplicated: float = 0.02
    held_back: float = 0.05
    poison: float = 0.001


class Delivery(Struct, frozen=True):
    """An event and when to send it, ms; `copy` marks a duplicate."""

    at_ms: int
    event: Event
    copy: bool = False


class DeliveryFaults:
    """Decides when and how often each event is sent."""

    def __init__(self, rates: FaultRates, generator: Generator) -> None:
        self._rates = rates
        self._random = generator

    def schedule(self, event: Event) -> list[Delivery]:
        """The deliveries of an event: for most events one, without delay."""
        random, sent_ms = self._random, event.occurred_at
        if random.random() < self._rates.held_back:
            sent_ms += round(1000 * min(1.0 + random.exponential(_DELAY_S), _DELAY_MOST_S))
        deliveries = [Delivery(sent_ms, event)]
        if random.random() < self._rates.duplicated:
            deliveries.append(Delivery(sent_ms + round(1000 * random.uniform(0.5, _COPY_MOST_S)), event, copy=True))
        return deliveries

    def draw_poison(self) -> bool:
        """Whether to send a poison record with the next event."""
        return bool(self._random.random() < self._rates.poison)
