"""Decode and check exposures for the join: slates are bounded, and every slot can become a sample."""

from typing import Any

import numpy as np

from headrace.schemas.avro import Unreadable
from headrace.schemas.exposures import EXPOSURE
from headrace.schemas.times import PLAUSIBLE_MS

MOST_SLOTS = 1_000
_POSITIONS = range(1 << 31)


class Unusable(ValueError):
    """The record cannot be joined; the message is `<code>: <what was seen, what was expected>`."""


class TooMany(Unusable):
    """The record is valid, but its user has too many open slates or waiting feedback events."""


def decode_exposure(payload: bytes) -> dict[str, Any]:
    """Decode the exposure in a record.

    Raises:
        Unusable: the record is not an exposure, or its slots cannot become samples.
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
        message = f"length: {contents} contents for {slots} slots, expected {slots} or 0"
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
        message = f"range: positions {positions[:10]} are not unique"
        raise Unusable(message)
    for slot in slots:
        dense: bytes = slot["dense"]
        if len(dense) % 4 or not np.isfinite(np.frombuffer(dense, "<f4")).all():
            message = (
                f"range: dense at position {slot['position']} ({len(dense)} bytes) is not an array of finite float32"
            )
            raise Unusable(message)
