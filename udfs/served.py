"""An exposure that the join can work with: what a slate of it holds is bounded, and its slots can become samples."""

from typing import Any

import numpy as np

from schemas.avro import Unreadable
from schemas.exposures import EXPOSURE
from schemas.times import PLAUSIBLE_MS

MOST_SLOTS = 1_000
_POSITIONS = range(1 << 31)


class Unusable(ValueError):
    """The record cannot be joined; the text is `<code>: <what was seen, what was expected>`."""


class TooMany(Unusable):
    """The record is sound, and its user has too much open already."""


def exposure_of(payload: bytes) -> dict[str, Any]:
    """The exposure in a record.

    Raises:
        Unusable: there is none in it, or none that samples could be made of.
    """
    try:
        exposure = EXPOSURE.decode(payload)
    except Unreadable as error:
        message = f"unreadable: {error}; does another version write to this topic?"
        raise Unusable(message) from error
    if exposure["received_at"] not in PLAUSIBLE_MS:
        message = f"time: received_at is {exposure['received_at']}, ms since 1970 from 1990 to 2100 are expected"
        raise Unusable(message)
    _check_slots(exposure["slots"])
    contents, slots = len(exposure["contents"]), len(exposure["slots"])
    if contents not in (0, slots):
        message = f"length: {contents} contents for {slots} slots, as many or none are expected"
        raise Unusable(message)
    return exposure


def _check_slots(slots: list[dict[str, Any]]) -> None:
    if len(slots) > MOST_SLOTS:
        message = f"length: {len(slots)} slots, at most {MOST_SLOTS} are joined"
        raise Unusable(message)
    positions = [slot["position"] for slot in slots]
    if wrong := [each for each in positions if each not in _POSITIONS]:
        message = f"range: position {wrong[0]}, positions count from 0"
        raise Unusable(message)
    if len(set(positions)) < len(positions):
        message = f"range: positions {positions[:10]}, each may be there once"
        raise Unusable(message)
    for slot in slots:
        dense: bytes = slot["dense"]
        if len(dense) % 4 or not np.isfinite(np.frombuffer(dense, "<f4")).all():
            message = f"range: dense at position {slot['position']} ({len(dense)} bytes) is not of finite float32"
            raise Unusable(message)
