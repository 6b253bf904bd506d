"""Seeded samples of a small world with known tastes, in the order of the log."""

from typing import Any

import numpy as np

from headrace.models.ranker.inputs import DENSE, FEATURE_SET
from headrace.schemas.model.heads import SHIPPED_HEADS
from headrace.schemas.samples import Sample

START_MS = 1_700_000_000_000
WAIT_MS = 20_000


def sample(**changes: Any) -> Sample:
    """A valid sample with `changes` to its fields."""
    fields: dict[str, Any] = {
        "request_id": "r",
        "position": 0,
        "user_id": "u",
        "item_id": "i",
        "category": "c",
        "kind": "first",
        "served_at": START_MS,
        "known_at": START_MS + WAIT_MS,
        **dict.fromkeys(SHIPPED_HEADS.names, 0.0),
        "weight": 1.0,
        "negative_rate": 1.0,
        "propensity": 1.0,
        "served_score": 0.1,
        "arm": "a",
        "policy": "p",
        "model_version": "",
        "feature_set": FEATURE_SET,
        "history": [],
        "context": {},
        "dense": np.zeros(len(DENSE), "<f4").tobytes(),
    }
    return Sample(**(fields | changes))


def stream(
    slots: int, *, seed: int = 0, every_ms: int = 40, users: int = 200, items: int = 60, begin_ms: int = START_MS
) -> list[Sample]:
    """One sample per slot, ordered by `known_at`: a positive when it happens, a negative when its wait is over.

    The sample carries all heads, with the weight of its click label. The log-odds of a click are the item's appeal,
    plus a bonus if its category is the user's, plus one dense input.
    """
    generator = np.random.default_rng(seed)
    appeal = generator.normal(0, 1.0, items)
    rows: list[Sample] = []
    pasts: dict[int, list[str]] = {}
    for slot in range(slots):
        user, item = int(generator.integers(users)), int(generator.integers(items))
        dense = generator.normal(0, 1, len(DENSE)).astype("<f4")
        logit = -2.0 + appeal[item] + 1.5 * (item % 5 == user % 5) + 0.8 * dense[3]
        clicked = bool(generator.random() < 1 / (1 + np.exp(-logit)))
        served = begin_ms + slot * every_ms
        past = pasts.setdefault(user, [])
        rows.append(
            sample(
                request_id=f"r{slot}",
                position=slot % 10,
                user_id=f"u{user}",
                item_id=f"i{item}",
                category=f"c{item % 5}",
                served_at=served,
                known_at=served + (int(generator.integers(1000, 5000)) if clicked else WAIT_MS),
                click=float(clicked),
                weight=SHIPPED_HEADS.event_weights["click"] if clicked else 1.0,
                converted=float(clicked and generator.random() < 0.3),
                engagement=float(generator.exponential(30)) if clicked else 0.0,
                history=past[:5],
                dense=dense.tobytes(),
            )
        )
        if clicked:
            past.insert(0, f"i{item}")
    return sorted(rows, key=lambda row: row.known_at)
