"""Logs without a fault, as samples in the order of the log: a simulated world, and a recording."""

from pathlib import Path

import numpy as np

from benchmarks.inputs.feedback_log import join_feedback
from headrace.evaluation.log import parse_columns, read
from headrace.lang.planner.load import load_plan
from headrace.layout import FEATURES
from headrace.schemas.model.heads import SHIPPED_HEADS
from headrace.schemas.samples import Sample
from headrace.simulator.sample_stream import sample
from headrace.simulator.warmup import WarmUp, WarmUpSettings
from headrace.simulator.world import World, WorldSettings

_BEGIN_MS = 1_700_000_000_000


def simulated(seconds: int, *, seed: int, wait_ms: int) -> list[Sample]:
    """Simulate a world whose trends shift, and join its history as the samples job does."""
    world = World(WorldSettings(), np.random.default_rng(seed))
    settings = WarmUpSettings(begin_ms=_BEGIN_MS, seconds=seconds)
    history = WarmUp(settings, world=world, plan=load_plan(FEATURES), generator=np.random.default_rng(seed + 1))
    history.run()
    return list(join_feedback(history.exposures, history.events, wait_ms=wait_ms, correction_ms=wait_ms))


def recorded(file: Path, *, wait_ms: int) -> list[Sample]:
    """Read KuaiRand's clicks by user and item alone; a click is known at once, a negative when the wait is over."""
    columns = parse_columns("user=user_id,item=video_id,time=time_ms,label=is_click", ("duration_ms",))
    recording = read(file, columns, warm_share=0.3).recording
    categories = {item.item_id: item.category for item in recording.items}
    pasts: dict[str, list[str]] = {}
    found: list[Sample] = []
    for number, visit in enumerate(recording.visits):
        past, clicked = pasts.setdefault(visit.user_id, []), bool(visit.feedback)
        row = sample(
            request_id=f"row-{number}",
            user_id=visit.user_id,
            item_id=visit.item_id,
            category=categories[visit.item_id],
            served_at=visit.at_ms,
            known_at=visit.at_ms + (0 if clicked else wait_ms),
            click=float(clicked),
            weight=SHIPPED_HEADS.event_weights["click"] if clicked else 1.0,
            converted=None,
            engagement=None,
            history=past[:20],
        )
        found.append(row)
        if clicked:
            past.insert(0, visit.item_id)
    return sorted(found, key=lambda row: row.known_at)
