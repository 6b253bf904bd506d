"""A learner's heartbeat on topic `model.deltas`, under its own key, so that readers of versions ignore it."""

import msgspec
from msgspec import Struct


class Heartbeat(Struct, frozen=True, kw_only=True):
    """Sent when the learner learned nothing since the last version, which remains current.

    Attributes:
        version: the last version, `epoch.0` before the first.
        clock_ms: the samples' clock. `offset`: of the next sample.
        held: positives that wait for their slots to close.
        at: wall clock at sending, ms.
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
    """Decode a value; None if it is not a heartbeat."""
    try:
        return msgspec.json.decode(payload or b"", type=Heartbeat)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
