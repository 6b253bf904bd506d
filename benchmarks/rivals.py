"""The product with its defaults, and rivals at the best of five settings, on two recorded logs.

Clicks of KuaiRand, predicted row by row by Vowpal Wabbit, River and LightGBM. All rows of a timestamp are predicted
before any is learned; the last 70 % are scored. Each rival runs with the raw columns and their pairs (user and item,
user and length, user and hour; LightGBM finds its own), and with the product's dense inputs in addition. The setting is
chosen on the scored rows. Vowpal Wabbit and River learn each row at once, where the product waits for a batch of 64;
LightGBM is fitted again at the start of each hour. The rows per second of the product include its features and
baselines; the rivals, and the product's ranker alone, get precomputed inputs. Films of MovieTweetings, ranked by
implicit ALS and session-kNN (benchmarks/studies/film_rivals.py). Then come interleaved speeds
(benchmarks/studies/speeds.py).
"""

import argparse
import contextlib
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
from msgspec import Struct
from rich.console import Console
from rich.table import Table

from benchmarks.harness.machine import Machine, this_machine
from benchmarks.harness.report import run_and_save
from benchmarks.inputs.recorded_rows import Predictions, Stream, first_rows, stream_of
from benchmarks.inputs.recordings import add_folder, file_in
from benchmarks.peers import lightgbm_peer, river_loop, wabbit_peer
from benchmarks.studies import film_rivals
from benchmarks.studies.film_rivals import FilmResult
from benchmarks.studies.speeds import Speed, speeds
from headrace.evaluation import ctr, metrics
from headrace.evaluation.log import Log, parse_columns, read
from headrace.evaluation.metrics import Figure
from headrace.evaluation.progressive import ProgressiveRanker
from headrace.lang.plan.plan import Plan
from headrace.lang.planner.load import load_plan
from headrace.layout import FEATURES, REPOSITORY
from headrace.learner.app import make_deterministic
from headrace.models.array_types import Doubles

RESULT = REPOSITORY / "benchmarks" / "results" / "rivals.json"
FILE, KNOWN = "kuairand/exposures.tsv.gz", ("duration_ms",)
COLUMNS = "user=user_id,item=video_id,time=time_ms,label=is_click"
FROM_SHARE = 0.3
_INPUTS = {"raw": "", "dense": " + inputs"}
console = Console(stderr=True, highlight=False)


class Scored(Struct, frozen=True, kw_only=True):
    """One contender on the scored rows.

    Attributes:
        setting: the best setting, to which the other attributes belong.
        tried: log loss by setting.
        behind: mean difference per row between its log loss and the product's, and its standard error.
    """

    name: str
    setting: str
    tried: dict[str, float]
    figures: dict[str, Figure]
    behind: Figure
    rows_per_s: int


class Result(Struct, frozen=True, kw_only=True):
    """All results. `rivals`: the product first, then the others. `versions`: package versions of the rivals."""

    machine: Machine
    versions: dict[str, str]
    rows: int
    scored: int
    ranker_rows_per_s: int
    rivals: list[Scored]
    films: FilmResult
    speeds: list[Speed]


class Limits(Struct, frozen=True):
    """Rows read of each log, None for all; rounds of the speeds; rows of the table for look-ups."""

    clicks: int | None
    films: int | None
    rounds: int
    ids: int


def measure(folder: Path, limits: Limits) -> Result:
    """Run every contender.

    Raises:
        UsageProblem: a recording is not in the folder.
    """
    machine, path = this_machine(), file_in(folder, FILE)
    make_deterministic()
    whole, plan = read(path, parse_columns(COLUMNS, KNOWN), warm_share=FROM_SHARE), load_plan(FEATURES)
    log = first_rows(whole, limits.clicks)
    first = round(len(log.recording.visits) * FROM_SHARE)
    ours, stream = product(log, plan, freeze_at=first), stream_of(log, plan)
    scorer = Scorer(stream.labels[first:], ours.chances[first:])
    scored = [scorer.best("headrace", {"defaults": ours})]
    with _peers(stream) as (wabbit, lightgbm):
        for name, passes in contenders(stream, wabbit, lightgbm).items():
            scored.append(scorer.best(name, {setting: run() for setting, run in passes.items()}))
            console.print(name, scored[-1].tried)
        fast = speeds(stream, wabbit, rounds=limits.rounds, ids=limits.ids)
        versions = {"river": version("river"), "vowpalwabbit": wabbit.version, "lightgbm": lightgbm.version}
    films = film_rivals.measure(
        folder, from_share=FROM_SHARE, limit=limits.films, on_scored=lambda each: console.print(each.name, each.tried)
    )
    return Result(
        machine=machine,
        versions=versions,
        rows=len(stream.rows),
        scored=len(stream.rows) - first,
        ranker_rows_per_s=_per_s(ranker(stream)),
        rivals=scored,
        films=films,
        speeds=fast,
    )


@contextlib.contextmanager
def _peers(stream: Stream) -> Iterator[tuple[wabbit_peer.Wabbit, lightgbm_peer.LightGbm]]:
    """The rivals that run in processes of their own."""
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        wabbit, lightgbm = wabbit_peer.wabbit(stream, Path(one)), lightgbm_peer.lightgbm(stream, Path(other))
        with wabbit as wabbit_process, lightgbm as lightgbm_process:
            yield wabbit_process, lightgbm_process


def product(log: Log, plan: Plan, *, freeze_at: int) -> Predictions:
    """The predictions of `headrace evaluate`."""
    begun = time.perf_counter()
    predicted = ctr.run(log, plan, task=ctr.CtrTask(freeze_at=freeze_at), on_progress=lambda _: None)
    return Predictions(predicted.chances, time.perf_counter() - begun)


def ranker(stream: Stream) -> Predictions:
    """The predictions of the product's ranker alone, with precomputed inputs."""
    progressive, parts, begun = ProgressiveRanker(0), list[Doubles](), time.perf_counter()
    for start, end in zip(stream.starts, [*stream.starts[1:], len(stream.rows)], strict=True):
        for sample in stream.samples[start:end]:
            progressive.add(sample)
        if progressive.has_batch:
            parts.append(progressive.learn()[0])
    parts.append(progressive.learn()[0])
    return Predictions(np.concatenate(parts), time.perf_counter() - begun)


def contenders(
    stream: Stream, wabbit: wabbit_peer.Wabbit, lightgbm: lightgbm_peer.LightGbm
) -> Mapping[str, Mapping[str, Callable[[], Predictions]]]:
    """The rivals, each with one pass per setting."""
    found: dict[str, Mapping[str, Callable[[], Predictions]]] = {}
    for inputs, words in _INPUTS.items():
        found[f"VW{words}"] = {f"rate {rate}": partial(wabbit.run, inputs, rate=rate) for rate in wabbit_peer.RATES}
    for inputs, words in _INPUTS.items():
        found[f"River{words}"] = {
            f"{name} {rate}": partial(river_loop.run, stream, inputs, optimiser=name, rate=rate)
            for name, rate in river_loop.RATES
        }
    for inputs, words in _INPUTS.items():
        found[f"LightGBM{words}, refitted hourly"] = {
            each.name: partial(lightgbm.run, inputs, settings=each) for each in lightgbm_peer.SETTINGS[inputs]
        }
    return found


class Scorer:
    """Scores predictions on the last rows, compared with the product's."""

    def __init__(self, labels: Doubles, ours: Doubles) -> None:
        self._labels, self._ours = labels, metrics.log_losses(ours, labels)

    def best(self, name: str, passes: Mapping[str, Predictions]) -> Scored:
        """Score the pass with the lowest log loss."""
        chances = {setting: each.chances[-len(self._labels) :] for setting, each in passes.items()}
        tried = {setting: float(metrics.log_losses(each, self._labels).mean()) for setting, each in chances.items()}
        setting = min(tried, key=lambda each: tried[each])
        return Scored(
            name=name,
            setting=setting,
            tried=tried,
            figures=metrics.chance_metrics(chances[setting], self._labels),
            behind=metrics.mean(metrics.log_losses(chances[setting], self._labels) - self._ours),
            rows_per_s=_per_s(passes[setting]),
        )


def _per_s(predictions: Predictions) -> int:
    return round(len(predictions.chances) / predictions.took_s)


def missed(result: Result) -> list[str]:
    """Aims that were missed: two standard errors ahead of each rival, and a light ranker as fast as Vowpal Wabbit."""
    found = [
        f"{each.name} is behind by {each.behind.value:.4f} ± {each.behind.error:.4f}"
        for each in result.rivals[1:]
        if each.behind.value <= 2 * each.behind.error
    ]
    found += film_rivals.missed(result.films)
    found += [f"{each.name}: {each.per_s}/s, aim {each.aim}" for each in result.speeds if each.per_s < (each.aim or 0)]
    light, wabbits = ([each for each in result.speeds if each.name.startswith(name)] for name in ("light", "VW"))
    slower = [(ranker, wabbit) for ranker in light for wabbit in wabbits if ranker.per_s < wabbit.per_s]
    return found + [f"{ranker.name}: {ranker.per_s}/s, {wabbit.name} {wabbit.per_s}/s" for ranker, wabbit in slower]


def show(result: Result) -> None:
    """Print one row per contender and log, one row per speed, and the missed aims."""
    quality = Table("", "setting", "log loss", "vs headrace", "AUC", "calibration", "rows/s", box=None, pad_edge=False)
    for each in result.rivals:
        loss, auc, calibration = (f"{each.figures[name].value:.4f}" for name in ("log_loss", "auc", "calibration"))
        behind = f"{each.behind.value:.4f} ± {each.behind.error:.4f}"
        quality.add_row(each.name, each.setting, loss, behind, auc, calibration, str(each.rows_per_s))
    fast = Table("predict and learn", "per second", "aim", "p50 ms", "p99 ms", box=None, pad_edge=False)
    for each in result.speeds:
        fast.add_row(each.name, str(each.per_s), str(each.aim or ""), str(each.times.p50_ms), str(each.times.p99_ms))
    alone = f"the product's ranker alone, with precomputed inputs: {result.ranker_rows_per_s} rows/s"
    lines = (f"missed: {line}" for line in missed(result))
    Console(highlight=False).print(quality, alone, film_rivals.table(result.films), fast, *lines, sep="\n")


def main() -> int:
    """`headrace bench rivals`; returns 1 if an aim is missed."""
    parser = argparse.ArgumentParser(prog="headrace bench rivals", description=__doc__)
    add_folder(parser)
    parser.add_argument("--rounds", type=int, default=12, help="rounds of the speeds, with five counted calls each")
    parser.add_argument("--ids", type=int, default=1_000_000, help="rows of the table for look-ups")
    parser.add_argument("--rows", type=int, help="for a trial: read only the first rows of KuaiRand")
    parser.add_argument("--film-rows", type=int, help="the same of MovieTweetings")
    parser.add_argument("--output", type=Path, default=RESULT)
    chosen = parser.parse_args()
    limits = Limits(chosen.rows, chosen.film_rows, chosen.rounds, chosen.ids)
    result = run_and_save("rivals", lambda: measure(chosen.data, limits), chosen.output)
    show(result)
    return int(bool(missed(result)))


if __name__ == "__main__":
    sys.exit(main())
