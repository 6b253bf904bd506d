"""What a fresh model is worth: on a simulated feed by the age of the version, by late labels, by lost versions.

One learner reads a feed whose fashions turn over hours. Each slot is told, before anything is heard of it, by readers
of its versions: one who is a minute behind, others who are longer behind, one who stands still since the warm part, and
two who lose a fifth of the versions. Then clicks come late, and four learners deal with that. Last, a recorded log is
ranked by models that are days old (`headrace evaluate --lag`). Features are never old: so it is the model alone.
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
from benchmarks.harness.report import carry_out
from benchmarks.inputs import feedback_log as tapes
from benchmarks.inputs.feedback_log import Tape
from benchmarks.inputs.recordings import add_folder
from benchmarks.inputs.version_readers import Behind, Frozen, Lossy, Reader, absolute, additive
from benchmarks.studies.curves import tables
from benchmarks.studies.freshness_study import HOUR_MS, LAGS_MS, MINUTE_MS, RESULT, Result, Run, Study
from benchmarks.studies.lagged import lagged, recording_in
from benchmarks.studies.version_ages import Numbers, figures, read, versions
from learner.app import make_deterministic
from learner.settings import LoopSettings
from schemas.samples import Sample

SEEDS = (1, 2, 3, 4, 5)
PARTS = ("feed", "recorded")
console = Console(stderr=True, highlight=False)


def run(study: Study, seed: int) -> Run:
    """Play one seed and score everybody on it."""
    machine, begun = this_machine(), time.perf_counter()
    tape = tapes.played(study.world, study.history, seed=seed)
    heard = tapes.even(tapes.joined(tape.exposures, tape.events, wait_ms=study.wait_ms, correction_ms=study.wait_ms))
    warm_ms, scored_ms = (study.history.begin_ms + hours * HOUR_MS for hours in (study.warm_h, study.scored_h))
    readers: dict[str, Reader] = {"frozen": Frozen(warm_ms), **{name: Behind(lag) for name, lag in LAGS_MS.items()}}
    readers |= {"absolute": Lossy(scored_ms, absolute), "additive": Lossy(scored_ms, additive)}
    learnt = versions(heard, LoopSettings(wait_ms=study.wait_ms, seed=seed))
    told = read(tape.slots, learnt, readers, from_ms=scored_ms)
    short = tape.until(warm_ms + study.late_h * HOUR_MS)
    late_ms = tapes.drawn(short, study.delays, np.random.default_rng(seed))
    labels = {
        name: _late(short, rows, LoopSettings(wait_ms=wait_ms, seed=seed), from_ms=warm_ms)
        for name, (rows, wait_ms) in tapes.told(short, late_ms, study.delays).items()
    }
    return Run(
        machine=machine,
        seed=seed,
        seconds=round(time.perf_counter() - begun, 1),
        samples=len(heard),
        slots=len(told.labels),
        click_rate=float(told.labels.mean()),
        late_share=float(np.mean(np.fromiter(late_ms.values(), np.int64) > study.delays.wait_ms)),
        readers=figures(told),
        labels=labels,
    )


def _late(tape: Tape, rows: Sequence[Sample], settings: LoopSettings, *, from_ms: int) -> Numbers:
    """Figures, on true labels, of a learner that reads these rows, by the version of the minute before."""
    end_ms = tape.slots[-1].served_at
    heard = [row for row in rows if row.known_at <= end_ms]
    told = read(tape.slots, versions(heard, settings), {"live": Behind(MINUTE_MS)}, from_ms=from_ms)
    return figures(told)["live"]


def measure(old: Result, *, seeds: Sequence[int], folder: Path | None) -> Result:
    """Run seeds, and the recorded log where its folder is given, a process each; what else there was stays.

    Raises:
        UsageProblem: the recorded log is not in the folder.
    """
    recording = None if folder is None else recording_in(folder)
    runs = {each.seed: each for each in old.runs}
    with ProcessPoolExecutor(mp_context=get_context("spawn"), initializer=make_deterministic) as pool:
        ranked = None if recording is None else pool.submit(lagged, recording)
        for each in pool.map(partial(run, old.study), seeds):
            runs[each.seed] = each
            console.print(f"seed {each.seed}: {each.seconds:.0f} s")
        found = old.recorded if ranked is None else ranked.result()
    return Result(study=old.study, runs=[runs[seed] for seed in sorted(runs)], recorded=found)


def kept(path: Path) -> Result:
    """What was measured before by the same study, else nothing."""
    if path.exists():
        old = msgspec.json.decode(path.read_bytes(), type=Result)
        if old.study == Study():
            return old
    return Result(study=Study(), runs=[])


def show(result: Result) -> None:
    """Print a table for each question."""
    for table in tables(result):
        told = Table(*table.columns, box=None, pad_edge=False)
        for line in table.lines:
            told.add_row(*line)
        Console(highlight=False).print(told)


def main() -> int:
    """`headrace bench freshness_curve`."""
    parser = argparse.ArgumentParser(prog="headrace bench freshness_curve", description=__doc__)
    add_folder(parser)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="others stay as they were measured")
    parser.add_argument("--seeds", nargs="+", type=int, default=SEEDS, help="of the feed; likewise")
    parser.add_argument("--output", type=Path, default=RESULT)
    chosen = parser.parse_args()
    seeds = chosen.seeds if "feed" in chosen.parts else ()
    folder = chosen.data if "recorded" in chosen.parts else None
    measured = partial(measure, kept(chosen.output), seeds=seeds, folder=folder)
    show(carry_out("freshness_curve", measured, chosen.output))
    return 0


if __name__ == "__main__":
    sys.exit(main())
