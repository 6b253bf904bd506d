"""The value of item vectors on a simulated feed, by fusion and by missing modalities.

An item has an image and a text vector: noisy projections of the hidden style that drives its clicks, each missing for
some items. The model predicts every slot before it learns it. The late-fusion model also predicts without one modality,
and without both.
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
from msgspec import Struct
from rich.console import Console
from rich.table import Table

from benchmarks.harness.interleaved import Times
from benchmarks.harness.machine import Machine, this_machine
from benchmarks.harness.report import run_and_save
from benchmarks.inputs import feedback_log
from benchmarks.inputs.cold_items import ContentMask, Numbers, evaluate_masked
from benchmarks.studies import slate_timing
from benchmarks.studies.curves import spread
from headrace.layout import REPOSITORY
from headrace.learner.app import make_deterministic
from headrace.models.content.modality import Fusion, Manner
from headrace.models.content.vectors import Content
from headrace.models.ranker.config import RankerConfig
from headrace.simulator.item_vectors import IMAGE, TEXT
from headrace.simulator.warmup import WarmUpSettings
from headrace.simulator.world import WorldSettings

RESULT = REPOSITORY / "benchmarks" / "results" / "fusion.json"
SEEDS = (1, 2, 3, 4, 5)
_ROUNDS = 60
MODALITIES = tuple(view.modality for view in (IMAGE, TEXT))
MANNERS: tuple[Manner, ...] = ("early", "gated", "late")
CONFIGS = {"none": RankerConfig()} | {
    manner: RankerConfig(fusion=Fusion(modalities=MODALITIES, manner=manner)) for manner in MANNERS
}
FIGURES = {
    "auc": "AUC",
    "new_auc": "AUC, new items",
    "rank": "rank share of clicked new items in their slates",
    "near": "rank share in retrieval, all items",
    "near_new": "rank share in retrieval, new items",
}
console = Console(stderr=True, highlight=False)


class Study(Struct, frozen=True, kw_only=True):
    """The settings of the study; slots are scored from `from_share` of them on."""

    world: WorldSettings = WorldSettings(
        users=1_200,
        items=1_500,
        births_per_s=0.1,
        fade_s=28_800.0,
        trend_s=3_600.0,
        mood_s=14_400.0,
        views=(IMAGE, TEXT),
    )
    history: WarmUpSettings = WarmUpSettings(
        begin_ms=1_700_000_000_000 // 3_600_000 * 3_600_000,
        seconds=6 * 3600,
        rate_per_s=0.125,
        count=20,
        look_ms=60_000,
    )
    from_share: float = 0.4


class Run(Struct, frozen=True, kw_only=True):
    """The figures of one seed, by variant."""

    machine: Machine
    seed: int
    seconds: float
    slots: int
    variants: dict[str, Numbers]


class Result(Struct, frozen=True, kw_only=True):
    """The results of all seeds, in order; `scoring`: time to score a slate of 260 candidates."""

    study: Study
    runs: list[Run]
    scoring: dict[str, Times]


def without(*missing: str) -> ContentMask:
    """A mask that hides modalities."""
    spans = Fusion(modalities=MODALITIES).spans()

    def mask(content: Content) -> Content:
        values, missing = content.values.copy(), content.missing.copy()
        for index, (name, span) in enumerate(spans.items()):
            if name in missing:
                values[:, span], missing[:, index] = 0, True
        return Content(values, missing)

    return mask


MASKS = {
    "late, no image": without("image"),
    "late, no text": without("text"),
    "late, neither": without("image", "text"),
}


def run(study: Study, seed: int) -> Run:
    """Simulate one seed and evaluate every variant on it."""
    machine, begun = this_machine(), time.perf_counter()
    slots = feedback_log.simulate(study.world, study.history, seed=seed).slots
    evaluate = partial(evaluate_masked, slots, seed=seed, from_share=study.from_share)
    variants: dict[str, Numbers] = {}
    for name, config in CONFIGS.items():
        variants |= evaluate(config, masks={name: without(), **(MASKS if name == "late" else {})})
    seconds = round(time.perf_counter() - begun, 1)
    return Run(machine=machine, seed=seed, seconds=seconds, slots=len(slots), variants=variants)


def measure(earlier: Result, *, seeds: Sequence[int], processes: int) -> Result:
    """Run seeds, one process each; keep the results of other seeds."""
    runs = {each.seed: each for each in earlier.runs}
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=make_deterministic) as pool:
        for each in pool.map(partial(run, earlier.study), seeds):
            runs[each.seed] = each
            console.print(f"seed {each.seed}: {each.seconds:.0f} s")
    scoring = slate_timing.time_slates(CONFIGS, rounds=_ROUNDS)
    return Result(study=earlier.study, runs=[runs[seed] for seed in sorted(runs)], scoring=scoring)


def earlier_result(path: Path) -> Result:
    """The earlier result if it has the same settings, else an empty one."""
    if path.exists():
        earlier = msgspec.json.decode(path.read_bytes(), type=Result)
        if earlier.study == Study():
            return earlier
    return Result(study=Study(), runs=[], scoring={})


def show(result: Result) -> None:
    """Print means over seeds, and the difference of each variant from `none` within a seed, with standard errors."""
    table = Table(
        "vectors", *(cell for words in FIGURES.values() for cell in (words, "vs none")), box=None, pad_edge=False
    )
    for name in result.runs[0].variants:
        cells = [name]
        for figure in FIGURES:
            values = np.array([each.variants[name][figure] for each in result.runs])
            difference = spread((values - [each.variants["none"][figure] for each in result.runs]).tolist())
            mean = spread(values.tolist())
            cells += [f"{mean.value:.4f} ± {mean.error:.4f}", f"{difference.value:+.4f} ± {difference.error:.4f}"]
        table.add_row(*cells)
    out = Console(highlight=False, width=200)
    out.print(table)
    for name, times in result.scoring.items():
        out.print(f"{name}: a slate of 260 in {times.p50_ms:.3f} ms, p99 {times.p99_ms:.3f}")


def main() -> int:
    """`headrace bench fusion`."""
    parser = argparse.ArgumentParser(prog="headrace bench fusion", description=__doc__)
    parser.add_argument(
        "--seeds", nargs="+", type=int, default=SEEDS, help="seeds to run; the others keep their results"
    )
    parser.add_argument("--processes", type=int, default=2, help="number of seeds that run in parallel")
    parser.add_argument("--output", type=Path, default=RESULT)
    chosen = parser.parse_args()
    measured = partial(measure, earlier_result(chosen.output), seeds=chosen.seeds, processes=chosen.processes)
    show(run_and_save("fusion", measured, chosen.output))
    return 0


if __name__ == "__main__":
    sys.exit(main())
