"""Which requests are refused first: classes of traffic, and tiers of surfaces."""

from collections.abc import Mapping
from typing import Literal, TypeAlias

from msgspec import Struct

from headrace.schemas.keys import Traffic
from headrace.schemas.limits import DEADLINE_LEAST_MS, DEADLINE_MOST_MS
from headrace.serving.limits.deadline import DEFAULT_MS

Tier: TypeAlias = Literal["core", "secondary", "optional"]
TIERS: tuple[Tier, ...] = ("core", "secondary", "optional")
ADMIN_SHARE = 0.1
_SHARES: dict[Traffic, tuple[float, float, float]] = {
    "live": (1.0, 0.75, 0.5),
    "batch": (0.35, 0.25, 0.15),
    "admin": (ADMIN_SHARE, ADMIN_SHARE, ADMIN_SHARE),
}


class Surface(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How important a surface's slates are, and how long they are of use if a request does not say.

    Attributes:
        tier: `optional` surfaces are refused first, `core` last.
        deadline_ms: from 5 to 1000.
        fallback: ids of items to show while nothing at all is known, not even what was popular before the start.
    """

    tier: Tier = "core"
    deadline_ms: int = DEFAULT_MS
    fallback: tuple[str, ...] = ()


DEFAULT_SURFACE = Surface()


class SurfacesError(ValueError):
    """The settings of surfaces are not valid; the message names every problem."""


def share_of(traffic: Traffic, tier: Tier) -> float:
    """The part of the objective that requests of this class and tier may use, in (0, 1]."""
    return _SHARES[traffic][TIERS.index(tier)]


def checked(surfaces: Mapping[str, Surface]) -> None:
    """Check the settings of surfaces.

    Raises:
        SurfacesError: a deadline is out of range.
    """
    wrong = [
        f"surfaces.{name}.deadline_ms is {surface.deadline_ms}, must be from {DEADLINE_LEAST_MS} to {DEADLINE_MOST_MS}"
        for name, surface in surfaces.items()
        if not DEADLINE_LEAST_MS <= surface.deadline_ms <= DEADLINE_MOST_MS
    ]
    if wrong:
        raise SurfacesError("; ".join(wrong))
