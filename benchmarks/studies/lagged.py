"""Ranks a recorded log with models of several ages in one pass: `headrace evaluate --task rank --lag`."""

from pathlib import Path

from msgspec import Struct, structs

from benchmarks.harness.machine import Machine, this_machine
from benchmarks.inputs.recordings import file_in
from benchmarks.studies.version_ages import Numbers
from headrace.evaluation import items
from headrace.evaluation.log import parse_columns, read
from headrace.evaluation.run import Settings, evaluate

FILE, COLUMNS = "movietweetings/ratings.dat.gz", "user=1,item=2,time=4"
ITEMS, ITEM_COLUMNS = "movietweetings/movies.dat.gz", "item=1,title=2,categories=3"
ROWS, FREEZE_SHARE, FROM_SHARE = 15_000, 0.3, 0.55
_DAY_S = 86_400
LAGS_S = {"7 d": 7 * _DAY_S, "1 d": _DAY_S, "1 h": 3_600}


class Lagged(Struct, frozen=True, kw_only=True):
    """Results on the first rows of MovieTweetings.

    Attributes:
        days: days from the first row to the freeze, to the first scored row, and to the last row.
        figures: by age of the model.
        errors: standard errors of the figures of the live model.
    """

    machine: Machine
    rows: int
    scored: int
    days: tuple[float, float, float]
    seconds: float
    figures: dict[str, Numbers]
    errors: Numbers


class Recording(Struct, frozen=True):
    """The files of the recording."""

    ratings: Path
    movies: Path


def recording_in(folder: Path) -> Recording:
    """Find the files in a folder of recordings.

    Raises:
        UsageProblem: a file is missing.
    """
    return Recording(file_in(folder, FILE), file_in(folder, ITEMS))


def rank_lagged(recording: Recording) -> Lagged:
    """Rank the log."""
    machine, details = this_machine(), items.read(recording.movies, items.parse_columns(ITEM_COLUMNS))
    log = read(recording.ratings, parse_columns(COLUMNS, ()), warm_share=FROM_SHARE, details=details)
    visits = log.recording.visits[:ROWS]
    log = structs.replace(log, recording=structs.replace(log.recording, visits=visits), rows=ROWS)
    lags_s = tuple(LAGS_S.values())
    settings = Settings(task="rank", from_share=FROM_SHARE, freeze_share=FREEZE_SHARE, tops=(10,), lags_s=lags_s)
    report = evaluate(log, settings, on_progress=lambda _: None)
    ends = (visits[round(ROWS * FREEZE_SHARE)], visits[round(ROWS * FROM_SHARE)], visits[-1])
    freeze, first, last = (round((visit.at_ms - visits[0].at_ms) / _DAY_S / 1000, 1) for visit in ends)
    by_age = {name: report.lagged[str(lag_s)] for name, lag_s in LAGS_S.items()}
    return Lagged(
        machine=machine,
        rows=ROWS,
        scored=report.scored,
        days=(freeze, first, last),
        seconds=report.seconds,
        figures={"frozen": report.frozen, **by_age, "live": report.metrics},
        errors=report.standard_errors,
    )
