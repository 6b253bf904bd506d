"""Films of MovieTweetings ranked row by row: the product with its defaults, implicit ALS and session-kNN.

Every row's film is ranked among all films seen so far but the user's own, before any row of its timestamp is learned.
For each figure a rival gets the best of five settings, chosen on the scored rows.
"""

import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from msgspec import Struct
from rich.table import Table

from benchmarks.inputs.positive_rows import PositiveRows, Ranking, rank_progressively, rows_of
from benchmarks.inputs.recorded_rows import first_rows
from benchmarks.inputs.recordings import file_in
from benchmarks.peers import implicit_peer, session_knn
from headrace.evaluation import items, metrics, rank
from headrace.evaluation.ablation import mean_by_user
from headrace.evaluation.log import Log, parse_columns, read
from headrace.evaluation.metrics import Figure
from headrace.lang.planner.load import load_plan
from headrace.layout import FEATURES
from headrace.models.array_types import Doubles
from headrace.models.ranker.config import load_ranker_config

TOPS = (10, 20)
PRODUCT, POPULARITY = "headrace", "popularity that halves each week"
_COLUMNS, _FILMS = "user=1,item=2,time=4", "item=1,title=2,categories=3"
_RATINGS_FILE, _FILMS_FILE = "movietweetings/ratings.dat.gz", "movietweetings/movies.dat.gz"


class Best(Struct, frozen=True):
    """One figure at a contender's best setting. `ahead`: the product's less it, over the same rows, by user."""

    setting: str
    value: Figure
    ahead: Figure


class RankScored(Struct, frozen=True):
    """One contender on the scored rows. `best`: by figure; `tried`: each figure by setting, `rows_per_s` too."""

    name: str
    best: dict[str, Best]
    tried: dict[str, dict[str, float]]


class FilmResult(Struct, frozen=True):
    """All contenders, the product first. `versions`: package versions of the rivals."""

    rows: int
    scored: int
    versions: dict[str, str]
    contenders: list[RankScored]


def measure(
    folder: Path, *, from_share: float, limit: int | None, on_scored: Callable[[RankScored], None]
) -> FilmResult:
    """Run every contender on the first `limit` rows, or on all.

    Raises:
        UsageProblem: the recording is not in the folder.
    """
    films = items.read(file_in(folder, _FILMS_FILE), items.parse_columns(_FILMS))
    columns = parse_columns(_COLUMNS, ())
    log = first_rows(read(file_in(folder, _RATINGS_FILE), columns, warm_share=from_share, details=films), limit)
    rows = rows_of(log.recording.visits)
    first = round(len(rows.items) * from_share)
    ours, popularity = product(log, freeze_at=first)
    scorer = RankScorer(rows.users[first:], ours.ranks[first:])
    found = [scorer.best(PRODUCT, {"defaults": ours}), scorer.best(POPULARITY, {"defaults": popularity})]
    with tempfile.TemporaryDirectory() as shared, implicit_peer.implicit(rows, Path(shared)) as implicit:
        for name, passes in contenders(rows, implicit).items():
            found.append(scorer.best(name, {setting: run() for setting, run in passes.items()}))
            on_scored(found[-1])
        return FilmResult(len(rows.items), len(rows.items) - first, {"implicit": implicit.version}, found)


def product(log: Log, *, freeze_at: int) -> tuple[Ranking, Ranking]:
    """The ranks of `headrace evaluate --task rank`, and those of the best of its simple baselines."""
    config, begun = load_ranker_config(None, FEATURES), time.perf_counter()
    task = rank.RankTask(allow_repeats=False, within_session=False, freeze_at=freeze_at, seed=0, config=config)
    found = rank.run(log, load_plan(FEATURES), task=task, on_progress=lambda _: None)
    took_s = time.perf_counter() - begun
    return Ranking(found.ranks, took_s), Ranking(found.baselines["decayed_popularity"], took_s)


def contenders(
    rows: PositiveRows, implicit: implicit_peer.Implicit
) -> Mapping[str, Mapping[str, Callable[[], Ranking]]]:
    """The rivals, each with one pass per setting."""
    return {
        "implicit ALS, refitted daily": {
            each.name: partial(_als, rows, implicit, each) for each in implicit_peer.SETTINGS
        },
        "session-kNN": {each.name: partial(_knn, rows, each) for each in session_knn.SETTINGS},
    }


def _als(rows: PositiveRows, implicit: implicit_peer.Implicit, settings: implicit_peer.Settings) -> Ranking:
    return rank_progressively(rows, implicit_peer.DailyAls(implicit, settings))


def _knn(rows: PositiveRows, settings: session_knn.Settings) -> Ranking:
    return rank_progressively(rows, session_knn.SessionKnn(rows, settings))


class RankScorer:
    """Scores ranks on the last rows, compared with the product's."""

    def __init__(self, users: list[int], ours: Doubles) -> None:
        self._users, self._ours = [str(user) for user in users], ours

    def best(self, name: str, passes: Mapping[str, Ranking]) -> RankScored:
        """Score each figure at the setting that has the largest."""
        ranks = {setting: each.ranks[-len(self._ours) :] for setting, each in passes.items()}
        figures = {setting: metrics.rank_metrics(each, TOPS, share="recall") for setting, each in ranks.items()}
        best: dict[str, Best] = {}
        for top in TOPS:
            figure = f"recall@{top}"
            setting = max(figures, key=lambda each: figures[each][figure].value)
            hits = (self._ours <= top).astype(float) - (ranks[setting] <= top)
            best[figure] = Best(setting, figures[setting][figure], mean_by_user(hits, self._users))
        tried = {
            setting: {figure: each[figure].value for figure in best}
            | {"rows_per_s": round(len(passes[setting].ranks) / passes[setting].took_s)}
            for setting, each in figures.items()
        }
        return RankScored(name, best, tried)


def missed(result: FilmResult) -> list[str]:
    """The contenders, popularity included, that the product is not ahead of by more than two standard errors."""
    return [
        f"{each.name}: {figure} of the product is ahead by {best.ahead.value:.4f} ± {best.ahead.error:.4f}"
        for each in result.contenders[1:]
        for figure, best in each.best.items()
        if best.ahead.value <= 2 * best.ahead.error
    ]


def table(result: FilmResult) -> Table:
    """One row per contender and figure."""
    found = Table("films", "figure", "value", "headrace ahead by", "setting", "rows/s", box=None, pad_edge=False)
    for each in result.contenders:
        for figure, best in each.best.items():
            value, ahead = (f"{one.value:.4f} ± {one.error:.4f}" for one in (best.value, best.ahead))
            speed = f"{each.tried[best.setting]['rows_per_s']:.0f}"
            found.add_row(each.name, figure, value, ahead, best.setting, speed)
    return found
