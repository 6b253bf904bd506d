"""Task ctr: predict each row's chance of a positive of the score head, before learning from rows of the same time.

The rows go through the product: its feature groups folded in memory, its ranker, the learner's batches. Nothing that
became known after a row was shown is an input.
"""

from collections.abc import Callable, Sequence
from itertools import groupby

import numpy as np
from msgspec import Struct

from headrace.evaluation.log import Log
from headrace.evaluation.progressive import ProgressiveRanker
from headrace.evaluation.rate_baselines import RateBaselines
from headrace.evaluation.to_sample import ShownItem, build_sample
from headrace.lang.plan.plan import Plan
from headrace.models.array_types import Doubles
from headrace.models.ranker.config import RankerConfig
from headrace.replay.recordings import shown_together
from headrace.replay.writer import ExposureBuilder, build_events
from headrace.schemas.model.heads import SHIPPED_HEADS, Head
from headrace.schemas.samples import Sample


class Predictions(Struct, frozen=True):
    """Labels and predicted click probabilities of the rows; each (N,).

    Attributes:
        chances: by the progressive ranker.
        older: by its older copies, by name; NaN before the freeze (see `ProgressiveRanker`).
        baselines: by the baselines, by name.
    """

    labels: Doubles
    chances: Doubles
    older: dict[str, Doubles]
    baselines: dict[str, Doubles]


class CtrTask(Struct, frozen=True, kw_only=True):
    """How to run task ctr.

    Attributes:
        freeze_at: row from whose timestamp on older copies of the model predict too: one that stopped learning, and
            one for each of `lags_s`, which is that many seconds old.
        seed: seed of the ranker's initial weights.
        config: the ranker, with its inputs.
    """

    freeze_at: int
    lags_s: Sequence[int] = ()
    seed: int = 0
    config: RankerConfig = RankerConfig()


def run(log: Log, plan: Plan, *, task: CtrTask, on_progress: Callable[[int], None]) -> Predictions:
    """Predict and learn every row of a log, in order; calls `on_progress` with the number of rows done."""
    visits = log.recording.visits
    freeze_ms = visits[min(task.freeze_at, len(visits) - 1)].at_ms
    ranker = ProgressiveRanker(task.seed, lags_s=task.lags_s, freeze_ms=freeze_ms, config=task.config)
    exposures, rates = ExposureBuilder(log.recording, plan, task.config.inputs), RateBaselines()
    labels = np.array([float(bool(visit.feedback)) for visit in visits])
    predicted = [ranker.learn()]
    baselines = {name: np.zeros(len(visits)) for name in rates.predict(visits[0])}
    for at_ms, group in groupby(range(len(visits)), key=lambda row: visits[row].at_ms):
        rows = list(group)
        if rows[0] <= task.freeze_at <= rows[-1]:
            predicted.append(ranker.learn())
            ranker.freeze(at_ms)
        samples = build_samples(exposures, log, rows, head=task.config.heads.score)
        for row, sample in zip(rows, samples, strict=True):
            ranker.add(sample)
            for name, chance in rates.predict(visits[row]).items():
                baselines[name][row] = chance
        if ranker.has_batch:
            ranker.advance(at_ms)
            predicted.append(ranker.learn())
        for row in rows:
            exposures.add_events(build_events(f"row-{row}", visits[row]))
            rates.add(visits[row], labels[row])
        on_progress(rows[-1] + 1)
    predicted.append(ranker.learn())
    older = {name: np.concatenate([chances[name] for _, chances in predicted]) for name in ranker.older_names}
    return Predictions(labels, np.concatenate([chances for chances, _ in predicted]), older, baselines)


def build_samples(
    exposures: ExposureBuilder, log: Log, rows: Sequence[int], *, head: Head = SHIPPED_HEADS.score
) -> list[Sample]:
    """Build the samples of a log's rows with one timestamp, with inputs as of the visits before them.

    `head`: the score head, which they label.

    Rows of one user, and of one slate where the log names them, were candidates of one request, so their inputs depend
    on each other.
    """
    visits, samples = log.recording.visits, dict[int, Sample]()
    for members in shown_together(visits, rows, slates=log.slates):
        exposure = exposures.exposure(f"row-{members[0]}", *(visits[row] for row in members))
        for row, slot in zip(members, exposure.slots, strict=True):
            shown = ShownItem(
                item_id=slot.item_id,
                category=slot.category,
                dense=slot.dense,
                feature_set=exposure.feature_set,
                head=head,
            )
            click, others = bool(visits[row].feedback), log.labels[row]
            samples[row] = build_sample(visits[row], shown, history=exposure.history, click=click, others=others)
    return [samples[row] for row in rows]
