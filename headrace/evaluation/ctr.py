"""Task ctr: the chance of a click of each row, told before any row of its moment is learnt.

The rows go through the product: its feature groups folded in memory, its ranker, its learner's batches. What became
known of a row after it was shown is nowhere an input.
"""

from collections.abc import Callable, Sequence
from itertools import groupby

import numpy as np
from msgspec import Struct

from headrace.evaluation.log import Log
from headrace.evaluation.progressive import Pupil
from headrace.evaluation.rate_baselines import Rates
from headrace.evaluation.to_sample import Shown, sample_of
from headrace.replay.recordings import Visit
from headrace.replay.writer import Served, events_of
from lang.plan.plan import Plan
from models.array_types import Doubles
from schemas.samples import Sample


class Predicted(Struct, frozen=True):
    """What was told of the rows; each (N,). `older`, by name, are NaN before the freeze (see `Pupil`)."""

    labels: Doubles
    ours: Doubles
    older: dict[str, Doubles]
    baselines: dict[str, Doubles]


class Asked(Struct, frozen=True, kw_only=True):
    """What is asked of each row.

    Attributes:
        freeze_at: the row from whose moment on older models are asked too: a copy that stands still, and by each of
            `lags_s` one that is that old.
        seed: of the ranker's first weights.
    """

    freeze_at: int
    lags_s: Sequence[int] = ()
    seed: int = 0


def run(log: Log, plan: Plan, *, asked: Asked, seen: Callable[[int], None]) -> Predicted:
    """Tell and learn every row of a log, in order; `seen` is told the number of rows done, now and then."""
    visits = log.recording.visits
    pupil = Pupil(asked.seed, lags_s=asked.lags_s, freeze_ms=visits[min(asked.freeze_at, len(visits) - 1)].at_ms)
    served, rates = Served(log.recording, plan), Rates()
    labels = np.array([float(bool(visit.feedback)) for visit in visits])
    told = [pupil.learn()]
    baselines = {name: np.zeros(len(visits)) for name in rates.chances(visits[0])}
    for at_ms, moment in groupby(range(len(visits)), key=lambda row: visits[row].at_ms):
        rows = list(moment)
        if rows[0] <= asked.freeze_at <= rows[-1]:
            told.append(pupil.learn())
            pupil.freeze(at_ms)
        for row, sample in zip(rows, samples(served, visits, rows, slates=log.slates), strict=True):
            pupil.take(sample)
            for name, chance in rates.chances(visits[row]).items():
                baselines[name][row] = chance
        if pupil.ready:
            pupil.begin(at_ms)
            told.append(pupil.learn())
        for row in rows:
            served.happen(events_of(f"row-{row}", visits[row]))
            rates.add(visits[row], labels[row])
        seen(rows[-1] + 1)
    told.append(pupil.learn())
    older = {name: np.concatenate([beside[name] for _, beside in told]) for name in pupil.names}
    return Predicted(labels, np.concatenate([ours for ours, _ in told]), older, baselines)


def samples(served: Served, visits: Sequence[Visit], rows: Sequence[int], *, slates: Sequence[str]) -> list[Sample]:
    """What the line would have learnt of the visits of a moment, with their inputs as of the visits before.

    Rows of one slate and user were candidates of one request, so their inputs see each other; others stand alone.
    """
    together: dict[tuple[str, str], list[int]] = {}
    for row in rows:
        slate = slates[row]
        together.setdefault((slate or f"row-{row}", visits[row].user_id if slate else ""), []).append(row)
    of_row: dict[int, Sample] = {}
    for members in together.values():
        exposure = served.exposure(f"row-{members[0]}", *(visits[row] for row in members))
        for row, slot in zip(members, exposure.slots, strict=True):
            shown = Shown(item_id=slot.item_id, category=slot.category, dense=slot.dense)
            click = bool(visits[row].feedback)
            of_row[row] = sample_of(visits[row], shown, history=exposure.history, click=click)
    return [of_row[row] for row in rows]
