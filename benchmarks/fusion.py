"""What vectors of items are worth on a simulated feed, by how they are joined and what of them is missing.

An item comes with an image and a text: noisy views of the hidden style that its clicks follow, each missing for some.
Every slot is told before it is learnt. The late model is also told with a modality taken away, and with all.
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
from benchmarks.harness.report import carry_out
from benchmarks.inputs import feedback_log as tapes
from benchmarks.inputs.cold_items import Blind, Numbers, follow
from benchmarks.studies import slate_timing
from benchmarks.studies.curves import spread
from headrace.layout import REPOSITORY
from learner.app import make_deterministic
from models.config import RankerConfig
from models.content import Content
from models.modality import Fusion, Manner
from simulator.item_vectors import IMAGE, TEXT
from simulator.warmup import WarmUpSettings
from simulator.world import WorldSettings

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
    "rank": "place of clicked new ones in their slates",
    "near": "place among all items, nearest first",
    "near_new": "place among the new",
}
console = Console(stderr=True, highlight=False)


class Study(Struct, frozen=True, kw_only=True):
    """What is played; slots count from `from_share` of them on."""

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
    """One seed: figures by variant."""

    machine: Machine
    seed: int
    seconds: float
    slots: int
    variants: dict[str, Numbers]


class Result(Struct, frozen=True, kw_only=True):
    """All that was measured, seeds in order; `scoring`: what a slate of 260 candidates takes."""

    study: Study
    runs: list[Run]
    scoring: dict[str, Times]


def without(*missing: str) -> Blind:
    """Takes modalities away."""
    spans = Fusion(modalities=MODALITIES).spans()

    def blind(content: Content) -> Content:
        values, lacking = content.values.copy(), content.lacking.copy()
        for place, (name, span) in enumerate(spans.items()):
            if name in missing:
                values[:, span], lacking[:, place] = 0, True
        return Content(values, lacking)

    return blind


BLINDS = {
    "late, no image": without("image"),
    "late, no text": without("text"),
    "late, neither": without("image", "text"),
}


def run(study: Study, seed: int) -> Run:
    """Play one seed and let every variant follow it."""
    machine, begun = this_machine(), time.perf_counter()
    slots = tapes.played(study.world, study.history, seed=seed).slots
    told = partial(follow, slots, seed=seed, from_share=study.from_share)
    variants: dict[str, Numbers] = {}
    for name, config in CONFIGS.items():
        variants |= told(config, blinds={name: without(), **(BLINDS if name == "late" else {})})
    seconds = round(time.perf_counter() - begun, 1)
    return Run(machine=machine, seed=seed, seconds=seconds, slots=len(slots), variants=variants)


def measure(old: Result, *, seeds: Sequence[int], processes: int) -> Result:
    """Run seeds, a process each; those that were measured before stay."""
    runs = {each.seed: each for each in old.runs}
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=make_deterministic) as pool:
        for each in pool.map(partial(run, old.study), seeds):
            runs[each.seed] = each
            console.print(f"seed {each.seed}: {each.seconds:.0f} s")
    scoring = slate_timing.times(CONFIGS, rounds=_ROUNDS)
    return Result(study=old.study, runs=[runs[seed] for seed in sorted(runs)], scoring=scoring)


def kept(path: Path) -> Result:
    """What was measured before by the same study, else nothing."""
    if path.exists():
        old = msgspec.json.decode(path.read_bytes(), type=Result)
        if old.study == Study():
            return old
    return Result(study=Study(), runs=[], scoring={})


def show(result: Result) -> None:
    """Print means over seeds, and how far each variant is from none within a seed, with standard errors."""
    table = Table(
        "vectors", *(cell for words in FIGURES.values() for cell in (words, "less none")), box=None, pad_edge=False
    )
    for name in result.runs[0].variants:
        cells = [name]
        for figure in FIGURES:
            values = np.array([each.variants[name][figure] for each in result.runs])
            apart = spread((values - [each.variants["none"][figure] for each in result.runs]).tolist())
            mean = spread(values.tolist())
            cells += [f"{mean.value:.4f} ± {mean.error:.4f}", f"{apart.value:+.4f} ± {apart.error:.4f}"]
        table.add_row(*cells)
    told = Console(highlight=False, width=200)
    told.print(table)
    for name, times in result.scoring.items():
        told.print(f"{name}: a slate of 260 in {times.p50_ms:.3f} ms, p99 {times.p99_ms:.3f}")


def main() -> int:
    """`headrace bench fusion`."""
    parser = argparse.ArgumentParser(prog="headrace bench fusion", description=__doc__)
    parser.add_argument("--seeds", nargs="+", type=int, default=SEEDS, help="others stay as they were measured")
    parser.add_argument("--processes", type=int, default=2, help="seeds at once")
    parser.add_argument("--output", type=Path, default=RESULT)
    chosen = parser.parse_args()
    measured = partial(measure, kept(chosen.output), seeds=chosen.seeds, processes=chosen.processes)
    show(carry_out("fusion", measured, chosen.output))
    return 0


if __name__ == "__main__":
    sys.exit(main())
