"""A recorded log for all contenders: rows with the product's inputs, grouped by timestamp for prediction."""

import time
from collections.abc import Callable, Sequence
from itertools import groupby

import numpy as np
from msgspec import Struct, structs

from headrace.errors import UsageProblem
from headrace.evaluation import ctr
from headrace.evaluation.log import Log
from headrace.lang.plan.plan import Plan
from headrace.models.array_types import Doubles
from headrace.replay.recordings import Recording
from headrace.replay.writer import ExposureBuilder, build_events
from headrace.schemas.samples import Sample

_HOUR_MS = 3_600_000


class Row(Struct, frozen=True):
    """One row. `hour`: hour of the day, UTC; `dense`: the product's inputs as of the earlier rows; `label`: 0 or 1."""

    user: str
    item: str
    bucket: str
    hour: str
    dense: list[float]
    label: int


class Stream(Struct, frozen=True):
    """N rows in order, the index of the first row of each timestamp, and the rows as samples of the product."""

    rows: list[Row]
    starts: list[int]
    samples: list[Sample]

    @property
    def labels(self) -> Doubles:
        """(N,)."""
        return np.array([row.label for row in self.rows], np.float64)


class Predictions(Struct, frozen=True):
    """Predicted chances (N,) of one contender, and the time that it took to predict and learn."""

    chances: Doubles
    took_s: float


def first_rows(log: Log, count: int | None) -> Log:
    """The log without the rows after the first `count`, by time; the whole log if it is None.

    Raises:
        UsageProblem: the count is below 1.
    """
    if count is None:
        return log
    if count < 1:
        message = f"a trial of {count} rows is not possible; write a number from 1"
        raise UsageProblem(message)
    recording = Recording(log.recording.items, log.recording.visits[:count])
    return structs.replace(log, recording=recording, slates=log.slates[:count], labels=log.labels[:count])


def stream_of(log: Log, plan: Plan) -> Stream:
    """The rows of a log, with inputs computed by the product."""
    visits, exposures = log.recording.visits, ExposureBuilder(log.recording, plan)
    starts, samples = list[int](), list[Sample]()
    for _, moment in groupby(range(len(visits)), key=lambda row: visits[row].at_ms):
        numbers = list(moment)
        starts.append(numbers[0])
        samples += ctr.build_samples(exposures, log, numbers)
        for row in numbers:
            exposures.add_events(build_events(f"row-{row}", visits[row]))
    return Stream([_row(sample) for sample in samples], starts, samples)


def evaluate_progressively(
    stream: Stream, *, predict: Callable[[Row], float], learn: Callable[[Row], None]
) -> Predictions:
    """Predict all rows of a timestamp, then learn them."""
    begun, chances = time.perf_counter(), list[float]()
    for start, end in zip(stream.starts, [*stream.starts[1:], len(stream.rows)], strict=True):
        moment: Sequence[Row] = stream.rows[start:end]
        chances += [predict(row) for row in moment]
        for row in moment:
            learn(row)
    return Predictions(np.array(chances), time.perf_counter() - begun)


def _row(sample: Sample) -> Row:
    dense = np.frombuffer(sample.dense, "<f4").tolist()
    hour = str(sample.served_at // _HOUR_MS % 24)
    return Row(sample.user_id, sample.item_id, sample.category, hour, dense, int(bool(sample.click)))
