"""Samples whose clicks are inverted from one row on."""

from msgspec import structs

from headrace.schemas.model.heads import SHIPPED_HEADS
from headrace.schemas.samples import Sample


def flip_clicks(rows: list[Sample], *, begin: int) -> list[Sample]:
    """The rows with every click label inverted from row `begin` on."""
    inverted = [
        structs.replace(
            row,
            click=None if row.click is None else 1.0 - row.click,
            weight=1.0 if row.click else SHIPPED_HEADS.event_weights["click"],
            converted=0.0,
            engagement=0.0,
        )
        for row in rows[begin:]
    ]
    return [*rows[:begin], *inverted]
