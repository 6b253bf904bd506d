"""Task ctr: the chance of a click of each row, told before any row of its moment is learnt.

The rows go through the product: its feature groups folded in memory, its ranker, its learner's batches. What became
known of a row after it was shown is nowhere an input.
"""

from collections.abc import Callable
from itertools import groupby

import numpy as np
from msgspec import Struct

from headrace.evaluation.baselines import Rates
from headrace.evaluation.log import Log
from headrace.evaluation.pupil import Pupil
from headrace.evaluation.shown import Shown, sample_of
from headrace.recordings import Visit
from headrace.replay import Served, events_of
from lang.plan import Plan
from models.axes import Doubles
from schemas.samples import Sample


class Predicted(Struct, frozen=True):
    """What was told of the rows; each (N,). `frozen` is NaN before the freeze; `baselines` by name."""

    labels: Doubles
    ours: Doubles
    frozen: Doubles
    baselines: dict[str, Doubles]


def run(log: Log, plan: Plan, *, freeze_at: int, seed: int, seen: Callable[[int], None]) -> Predicted:
    """Tell and learn every row of a log, in order.

    Args:
        log: the rows.
        plan: the feature groups.
        freeze_at: the row from whose moment on a copy of the model that stands still is asked too.
        seed: of the ranker's first weights.
        seen: told the number of rows done, now and then.
    """
    visits = log.recording.visits
    pupil, served, rates = Pupil(seed), Served(log.recording, plan), Rates()
    labels = np.array([float(bool(visit.feedback)) for visit in visits])
    told = [(np.zeros(0), np.zeros(0))]
    baselines = {name: np.zeros(len(visits)) for name in rates.chances(visits[0])}
    for _, moment in groupby(range(len(visits)), key=lambda row: visits[row].at_ms):
        rows = list(moment)
        if rows[0] <= freeze_at <= rows[-1]:
            told.append(pupil.learn())
            pupil.freeze()
        for row in rows:
            pupil.take(sample(served, f"row-{row}", visits[row]))
            for name, chance in rates.chances(visits[row]).items():
                baselines[name][row] = chance
        if pupil.ready:
            told.append(pupil.learn())
        for row in rows:
            served.happen(events_of(f"row-{row}", visits[row]))
            rates.add(visits[row], labels[row])
        seen(rows[-1] + 1)
    told.append(pupil.learn())
    ours, frozen = (np.concatenate(each) for each in zip(*told, strict=True))
    return Predicted(labels, ours, frozen, baselines)


def sample(served: Served, request_id: str, visit: Visit) -> Sample:
    """What the line would have learnt of a visit, with its inputs as of the visits before."""
    exposure = served.exposure(request_id, visit)
    (slot,) = exposure.slots
    shown = Shown(item_id=visit.item_id, category=slot.category, dense=slot.dense)
    return sample_of(visit, shown, history=exposure.history, click=bool(visit.feedback))
