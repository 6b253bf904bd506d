"""The value of a fresh model on a simulated feed: by the age of the version, by late labels, and by lost versions.

One learner reads a feed whose trends change over hours. Readers of its versions predict each slot before any feedback
on it: one lags by a minute, others lag more, one froze after the warm part, and two lose a fifth of the versions. Then
clicks come late, and four learners handle that. Last, models that are days old rank a recorded log (`headrace evaluate
--lag`). Features are always current, so the differences come from the model alone.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import msgspec
import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.harness.machine import this_machine
from benchmarks.harness.report import run_and_save
from benchmarks.inputs import feedback_log
from benchmarks.inputs.feedback_log import FeedbackLog
from benchmarks.inputs.recordings import add_folder
from benchmarks.inputs.version_readers import (
    FrozenReader,
    LaggingReader,
    LossyReader,
    Reader,
    absolute_delta,
    additive_delta,
)
from benchmarks.studies.curves import tables
from benchmarks.studies.freshness_study import HOUR_MS, LAGS_MS, MINUTE_MS, RESULT, Result, Run, Study
from benchmarks.studies.lagged import rank_lagged, recording_in
from benchmarks.studies.version_ages import Numbers, figures, make_versions, predict_slots
from headrace.learner.app import make_deterministic
from headrace.learner.settings import LoopSettings
from headrace.schemas.samples import Sample

SEEDS = (1, 2, 3, 4, 5)
PARTS = ("feed", "recorded")
console = Console(stderr=True, highlight=False)


def run(study: Study, seed: int) -> Run:
    """Simulate one seed and score all readers and learners on it."""
    machine, begun = this_machine(), time.perf_counter()
    log = feedback_log.simulate(study.world, study.history, seed=seed)
    samples = feedback_log.with_equal_weights(
        feedback_log.join_feedback(log.exposures, log.events, wait_ms=study.wait_ms, correction_ms=study.wait_ms)
    )
    warm_ms, scored_ms = (study.history.begin_ms + hours * HOUR_MS for hours in (study.warm_h, study.scored_h))
    readers: dict[str, Reader] = {
        "frozen": FrozenReader(warm_ms),
        **{name: LaggingReader(lag) for name, lag in LAGS_MS.items()},
    }
    readers |= {"absolute": LossyReader(scored_ms, absolute_delta), "additive": LossyReader(scored_ms, additive_delta)}
    published = make_versions(samples, LoopSettings(wait_ms=study.wait_ms, seed=seed))
    predictions = predict_slots(log.slots, published, readers, from_ms=scored_ms)
    short = log.before(warm_ms + study.late_h * HOUR_MS)
    late_ms = feedback_log.draw_delays(short, study.delays, np.random.default_rng(seed))
    labels = {
        name: _late(short, rows, LoopSettings(wait_ms=wait_ms, seed=seed), from_ms=warm_ms)
        for name, (rows, wait_ms) in feedback_log.delayed_samples(short, late_ms, study.delays).items()
    }
    return Run(
        machine=machine,
        seed=seed,
        seconds=round(time.perf_counter() - begun, 1),
        samples=len(samples),
        slots=len(predictions.labels),
        click_rate=float(predictions.labels.mean()),
        late_share=float(np.mean(np.fromiter(late_ms.values(), np.int64) > study.delays.wait_ms)),
        readers=figures(predictions),
        labels=labels,
    )


def _late(log: FeedbackLog, rows: Sequence[Sample], settings: LoopSettings, *, from_ms: int) -> Numbers:
    """Figures on true labels of a learner that reads these rows, predicted by the version of the minute before."""
    end_ms = log.slots[-1].served_at
    samples = [row for row in rows if row.known_at <= end_ms]
    predictions = predict_slots(
        log.slots, make_versions(samples, settings), {"live": LaggingReader(MINUTE_MS)}, from_ms=from_ms
    )
    return figures(predictions)["live"]


def measure(earlier: Result, *, seeds: Sequence[int], folder: Path | None) -> Result:
    """Run seeds, and the recorded log if its folder is given, in one process each; keep other earlier results.

    Raises:
        UsageProblem: the folder does not contain the recorded log.
    """
    recording = None if folder is None else recording_in(folder)
    runs = {each.seed: each for each in earlier.runs}
    with ProcessPoolExecutor(mp_context=get_context("spawn"), initializer=make_deterministic) as pool:
        ranked = None if recording is None else pool.submit(rank_lagged, recording)
        for each in pool.map(partial(run, earlier.study), seeds):
            runs[each.seed] = each
            console.print(f"seed {each.seed}: {each.seconds:.0f} s")
        found = earlier.recorded if ranked is None else ranked.result()
    return Result(study=earlier.study, runs=[runs[seed] for seed in sorted(runs)], recorded=found)


def earlier_result(path: Path) -> Result:
    """The earlier result if it has the same settings, else an empty one."""
    if path.exists():
        earlier = msgspec.json.decode(path.read_bytes(), type=Result)
        if earlier.study == Study():
            return earlier
    return Result(study=Study(), runs=[])


def show(result: Result) -> None:
    """Print a table for each question."""
    for table in tables(result):
        printed = Table(*table.columns, box=None, pad_edge=False)
        for row in table.rows:
            printed.add_row(*row)
        Console(highlight=False).print(printed)


def main() -> int:
    """`headrace bench freshness_curve`."""
    parser = argparse.ArgumentParser(prog="headrace bench freshness_curve", description=__doc__)
    add_folder(parser)
    parser.add_argument(
        "--parts", nargs="+", choices=PARTS, default=PARTS, help="parts to run; the others keep their results"
    )
    parser.add_argument(
        "--seeds", nargs="+", type=int, default=SEEDS, help="seeds of the feed; the others keep their results"
    )
    parser.add_argument("--output", type=Path, default=RESULT)
    chosen = parser.parse_args()
    seeds = chosen.seeds if "feed" in chosen.parts else ()
    folder = chosen.data if "recorded" in chosen.parts else None
    measured = partial(measure, earlier_result(chosen.output), seeds=seeds, folder=folder)
    show(run_and_save("freshness_curve", measured, chosen.output))
    return 0


if __name__ == "__main__":
    sys.exit(main())
