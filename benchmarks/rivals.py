"""Clicks of KuaiRand predicted row by row: the product with its defaults beside Vowpal Wabbit and River.

Rows of one moment are all told before one is learnt; the last 70 % are scored. Each rival runs with the raw columns and
their pairs (user and item, user and length, user and hour), and with our dense inputs beside them; of a few learning
rates it is given the one that was best on the scored rows, and it learns a row at once, where the product waits for 64.
The product's rows a second hold its features and baselines; a rival finds the inputs ready, and so does the product's
ranker alone. Then speeds, in turns (benchmarks/studies/speeds.py).
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
from msgspec import Struct
from rich.console import Console
from rich.table import Table

from benchmarks.harness.machine import Machine, this_machine
from benchmarks.harness.report import carry_out
from benchmarks.inputs.recorded_rows import Stream, Told, stream_of
from benchmarks.inputs.recordings import add_folder, file_in
from benchmarks.peers import river_loop, wabbit_peer
from benchmarks.studies.speeds import Speed, speeds
from headrace.evaluation import ctr, metrics
from headrace.evaluation.log import Log, columns_of, read
from headrace.evaluation.metrics import Figure
from headrace.evaluation.progressive import Pupil
from headrace.layout import FEATURES, REPOSITORY
from lang.plan.plan import Plan
from lang.planner.load import load_plan
from learner.app import make_deterministic
from models.array_types import Doubles

RESULT = REPOSITORY / "benchmarks" / "results" / "rivals.json"
FILE, KNOWN = "kuairand/exposures.tsv.gz", ("duration_ms",)
COLUMNS = "user=user_id,item=video_id,time=time_ms,label=is_click"
FROM_SHARE = 0.3
_INPUTS = {"raw": "", "dense": " + inputs"}
_LEAST = 1e-6  # as in the metrics
console = Console(stderr=True, highlight=False)


class Scored(Struct, frozen=True, kw_only=True):
    """One contender over the scored rows.

    Attributes:
        setting: of those tried, with their log losses in `tried`, the one the rest is of.
        behind: its log loss less ours, by row: the mean and its standard error.
    """

    name: str
    setting: str
    tried: dict[str, float]
    figures: dict[str, Figure]
    behind: Figure
    rows_per_s: int


class Result(Struct, frozen=True, kw_only=True):
    """All that was measured. `rivals`: the product first. `versions` of the rivals."""

    machine: Machine
    versions: dict[str, str]
    rows: int
    scored: int
    ranker_rows_per_s: int
    rivals: list[Scored]
    speeds: list[Speed]


def measure(folder: Path, *, rounds: int, ids: int) -> Result:
    """Run every contender.

    Raises:
        UsageProblem: the recording is not in the folder.
    """
    machine, path = this_machine(), file_in(folder, FILE)
    make_deterministic()
    log, plan = read(path, columns_of(COLUMNS, KNOWN), warm_share=FROM_SHARE), load_plan(FEATURES)
    first = round(len(log.recording.visits) * FROM_SHARE)
    ours, stream = product(log, plan, freeze_at=first), stream_of(log, plan)
    scorer = Scorer(stream.labels[first:], ours.chances[first:])
    scored = [scorer.best("headrace", {"defaults": ours})]
    with tempfile.TemporaryDirectory() as shared, wabbit_peer.wabbit(stream, Path(shared)) as wabbit:
        for name, passes in contenders(stream, wabbit).items():
            scored.append(scorer.best(name, {setting: run() for setting, run in passes.items()}))
            console.print(name, scored[-1].tried)
        fast = speeds(stream, wabbit, rounds=rounds, ids=ids)
    return Result(
        machine=machine,
        versions={"river": version("river"), "vowpalwabbit": wabbit.version},
        rows=len(stream.rows),
        scored=len(stream.rows) - first,
        ranker_rows_per_s=_per_s(ranker(stream)),
        rivals=scored,
        speeds=fast,
    )


def product(log: Log, plan: Plan, *, freeze_at: int) -> Told:
    """What `headrace evaluate` tells."""
    begun = time.perf_counter()
    told = ctr.run(log, plan, asked=ctr.Asked(freeze_at=freeze_at), seen=lambda _: None)
    return Told(told.ours, time.perf_counter() - begun)


def ranker(stream: Stream) -> Told:
    """The product's ranker alone, inputs ready."""
    pupil, told, begun = Pupil(0), list[Doubles](), time.perf_counter()
    for start, end in zip(stream.starts, [*stream.starts[1:], len(stream.rows)], strict=True):
        for sample in stream.samples[start:end]:
            pupil.take(sample)
        if pupil.ready:
            told.append(pupil.learn()[0])
    told.append(pupil.learn()[0])
    return Told(np.concatenate(told), time.perf_counter() - begun)


def contenders(stream: Stream, wabbit: wabbit_peer.Wabbit) -> Mapping[str, Mapping[str, Callable[[], Told]]]:
    """The rivals, each with its settings as passes to be run."""
    found: dict[str, Mapping[str, Callable[[], Told]]] = {}
    for inputs, words in _INPUTS.items():
        found[f"VW{words}"] = {f"rate {rate}": partial(wabbit.run, inputs, rate=rate) for rate in wabbit_peer.RATES}
    for inputs, words in _INPUTS.items():
        found[f"River{words}"] = {
            f"{name} {rate}": partial(river_loop.run, stream, inputs, optimiser=name, rate=rate)
            for name, rate in river_loop.RATES
        }
    return found


class Scorer:
    """Scores chances of all rows on the last of them, against ours."""

    def __init__(self, labels: Doubles, ours: Doubles) -> None:
        self._labels, self._ours = labels, _losses(ours, labels)

    def best(self, name: str, passes: Mapping[str, Told]) -> Scored:
        """The pass with the least log loss."""
        chances = {setting: told.chances[-len(self._labels) :] for setting, told in passes.items()}
        tried = {setting: float(_losses(each, self._labels).mean()) for setting, each in chances.items()}
        setting = min(tried, key=lambda each: tried[each])
        return Scored(
            name=name,
            setting=setting,
            tried=tried,
            figures=metrics.of_chances(chances[setting], self._labels),
            behind=metrics.mean(_losses(chances[setting], self._labels) - self._ours),
            rows_per_s=_per_s(passes[setting]),
        )


def _losses(chances: Doubles, labels: Doubles) -> Doubles:
    clipped = np.clip(chances, _LEAST, 1 - _LEAST)
    return -np.where(labels > 0, np.log(clipped), np.log(1 - clipped))


def _per_s(told: Told) -> int:
    return round(len(told.chances) / told.seconds)


def missed(result: Result) -> list[str]:
    """What falls short of its aim; the light ranker's is also Vowpal Wabbit."""
    found = [f"{each.name} has the lower log loss" for each in result.rivals if each.behind.value < 0]
    found += [f"{each.name}: {each.per_s}/s, aim {each.aim}" for each in result.speeds if each.per_s < (each.aim or 0)]
    light, wabbits = ([each for each in result.speeds if each.name.startswith(name)] for name in ("light", "VW"))
    pairs = [(ours, theirs) for ours in light for theirs in wabbits if ours.per_s < theirs.per_s]
    return found + [f"{ours.name}: {ours.per_s}/s, {theirs.name} {theirs.per_s}/s" for ours, theirs in pairs]


def show(result: Result) -> None:
    """Print a row a contender, a row a speed, and what is missed."""
    told = Table("", "setting", "log loss", "less ours", "AUC", "calibration", "rows/s", box=None, pad_edge=False)
    for each in result.rivals:
        loss, auc, calibration = (f"{each.figures[name].value:.4f}" for name in ("log_loss", "auc", "calibration"))
        behind = f"{each.behind.value:.4f} ± {each.behind.error:.4f}"
        told.add_row(each.name, each.setting, loss, behind, auc, calibration, str(each.rows_per_s))
    fast = Table("told and learnt", "a second", "aim", "p50 ms", "p99 ms", box=None, pad_edge=False)
    for each in result.speeds:
        fast.add_row(each.name, str(each.per_s), str(each.aim or ""), str(each.times.p50_ms), str(each.times.p99_ms))
    alone = f"the product's ranker alone, inputs ready: {result.ranker_rows_per_s} rows/s"
    Console(highlight=False).print(told, alone, fast, *(f"missed: {line}" for line in missed(result)), sep="\n")


def main() -> int:
    """`headrace bench rivals`; 1 where something is missed."""
    parser = argparse.ArgumentParser(prog="headrace bench rivals", description=__doc__)
    add_folder(parser)
    parser.add_argument("--rounds", type=int, default=12, help="of the speeds, five counted calls each")
    parser.add_argument("--ids", type=int, default=1_000_000, help="rows of the table that is looked up")
    parser.add_argument("--output", type=Path, default=RESULT)
    chosen = parser.parse_args()
    told = carry_out("rivals", lambda: measure(chosen.data, rounds=chosen.rounds, ids=chosen.ids), chosen.output)
    show(told)
    return int(bool(missed(told)))


if __name__ == "__main__":
    sys.exit(main())
