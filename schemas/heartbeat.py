"""A learner's sign of life on topic `model.deltas`; under a key of its own, so readers of versions pass it over."""

import msgspec
from msgspec import Struct


class Heartbeat(Struct, frozen=True, kw_only=True):
    """A cadence in which nothing was learnt: no version was made, for the last one still holds.

    Attributes:
        version: the last one, `epoch.0` before the first.
        clock_ms: of the samples. `offset`: of the next one.
        held: positives that wait for their slots to close.
        at: the wall clock when it was sent, ms.
    """

    model: str
    version: str
    clock_ms: int
    offset: int
    held: int
    at: int = 0

    def payload(self) -> bytes:
        """The record's value, JSON."""
        return msgspec.json.encode(self)


def key_of(model: str) -> str:
    """The key of a model's heartbeats."""
    return f"heartbeat/{model}"


def heartbeat_of(payload: bytes | None) -> Heartbeat | None:
    """What a value says; None where it is no heartbeat."""
    try:
        return msgspec.json.decode(payload or b"", type=Heartbeat)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
