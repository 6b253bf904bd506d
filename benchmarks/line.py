"""KuaiRand's clicks through the running pipeline: does the learner predict them as well as `headrace evaluate` does?

The log is replayed at full speed through Kafka, Flink and Redis. The product's learner reads the resulting topic
`samples`, predicts each row before it learns it, and is scored on the slots that were served from the time on from
which `evaluate` scores rows. `evaluate` withholds the labels of rows with the same timestamp; the pipeline withholds
labels until they are known.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec import Struct, structs
from rich.console import Console

from benchmarks.harness.machine import Machine, this_machine
from benchmarks.harness.report import run_and_save
from benchmarks.inputs.recordings import add_folder, file_in
from benchmarks.quality import CASES, FROM_SHARE
from headrace.evaluation.log import parse_columns, read
from headrace.evaluation.run import Settings, evaluate
from headrace.layout import REPOSITORY, Layout
from headrace.learner.loop import Learner
from headrace.learner.samples.source import Row, Samples
from headrace.learner.settings import LoopSettings
from headrace.learner.versions.cuts import Checkpoint, Publication
from headrace.models.ranker.config import RankerConfig
from headrace.replay import command
from headrace.stack import stack

RESULT = REPOSITORY / "benchmarks" / "results" / "line.json"
CASE = CASES[0]
# the labels that a replay has
COLUMNS = "user=user_id,item=video_id,time=time_ms,label=is_click,engagement=play_time_ms"
_NEVER_MS = 1 << 50  # cut no version, so that the metric window covers everything that was learned
_WAIT_S = 1.0
_CLICK = "live.all.click"
console = Console(stderr=True)


class Score(Struct, frozen=True):
    """Metrics of click predictions over `slots` slots."""

    auc: float
    calibration: float
    slots: int


class Result(Struct, frozen=True):
    """Both scores, and the standard error of the in-process AUC."""

    machine: Machine
    in_process: Score
    line: Score
    auc_error: float
    apart_in_errors: float


def measure(folder: Path) -> Result:
    """Evaluate the log in process, then send it through a pipeline.

    Raises:
        UsageProblem: the log is not in the folder.
        EnvironmentProblem: the pipeline did not start, or did not process the log.
    """
    machine, path = this_machine(), file_in(folder, CASE.file)
    log = read(path, parse_columns(COLUMNS, CASE.known), warm_share=FROM_SHARE)
    report = evaluate(log, Settings(from_share=FROM_SHARE), on_progress=lambda _: None)
    visits = log.recording.visits
    from_ms = visits[round(len(visits) * FROM_SHARE)].at_ms
    line, error = _through_a_line(path, from_ms), report.standard_errors["auc"]
    in_process = Score(report.metrics["auc"], report.metrics["calibration"], report.scored)
    return Result(machine, in_process, line, error, (line.auc - in_process.auc) / error)


def _through_a_line(path: Path, from_ms: int) -> Score:
    layout = Layout(REPOSITORY / ".headrace" / "bench")
    stack.stop(layout, wipe=True)
    try:
        command.run(layout, path, recording_format="kuairand", speed="max", say=console.print)
        endpoints = layout.endpoints()
        settings = LoopSettings(
            cadence_ms=_NEVER_MS, snapshot_ms=_NEVER_MS, wait_ms=endpoints.pace.wait_ms, coding="float32"
        )
        return _score(list(_samples(endpoints.bootstrap)), settings, from_ms)
    finally:
        stack.stop(layout, wipe=True)


def _samples(bootstrap: str) -> Iterator[Row]:
    source = Samples(bootstrap, "bench")
    source.seek(0)
    while not source.ended:
        yield from source.read(_WAIT_S)
    source.close()


def _score(rows: Sequence[Row], settings: LoopSettings, from_ms: int) -> Score:
    """The score over slots served from `from_ms` on."""
    learner, closed_ms = Learner(settings, RankerConfig()), from_ms + settings.wait_ms
    first = next(index for index, (_, sample) in enumerate(rows) if sample is not None and sample.known_at > closed_ms)
    list(learner.feed(rows[:first]))
    _cut(learner)
    list(learner.feed(rows[first:]))
    found = _cut(learner).window
    return Score(found[f"{_CLICK}.auc"], found[f"{_CLICK}.calibration"], round(found[f"{_CLICK}.count"]))


def _cut(learner: Learner) -> Publication:
    """End a metric window."""
    cuts: list[Publication | Checkpoint] = list(learner.finish())
    return next(cut for cut in cuts if isinstance(cut, Publication))


def main() -> int:
    """`headrace bench line`; returns 1 if the scores differ by more than two standard errors."""
    parser = argparse.ArgumentParser(prog="headrace bench line", description=__doc__)
    add_folder(parser)
    parser.add_argument("--output", type=Path, default=RESULT)
    chosen = parser.parse_args()
    result = run_and_save("line", lambda: measure(chosen.data), chosen.output)
    for name, score in (("in process", result.in_process), ("line", result.line)):
        console.print(name, structs.asdict(score))
    console.print(f"the AUCs differ by {result.apart_in_errors:+.2f} standard errors of {result.auc_error:.4f}")
    return int(abs(result.apart_in_errors) > 2)


if __name__ == "__main__":
    sys.exit(main())
