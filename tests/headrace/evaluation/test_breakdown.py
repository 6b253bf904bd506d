"""An evaluation in parts: each number is that of the recorded predictions and ranks, computed here once more."""

import itertools
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from headrace.evaluation import ctr, rank
from headrace.evaluation.breakdown import FEWEST, FROZEN, PRODUCT, Breakdown, Part, ScoredRows, calibration
from headrace.evaluation.ctr import Predictions
from headrace.evaluation.log import Log, parse_columns, read
from headrace.evaluation.rank import Ranks
from headrace.evaluation.report import Report
from headrace.evaluation.run import Settings, evaluate
from headrace.evaluation.segments import segments_of
from headrace.evaluation.source_counts import NAMES, SourceCounts
from headrace.lang.planner.load import load_plan
from headrace.layout import FEATURES
from headrace.replay.recordings import Visit
from headrace.serving.stages.sources.table import BITS
from headrace.serving.state.query import Candidates

ROWS, FIRST = 900, 270
BEGIN_S = 1_700_000_000


def rows_of(seed: int) -> list[tuple[str, str, int, int]]:
    """Few popular items and many rare ones, two rows per timestamp; newer items and users come later."""
    rng = np.random.default_rng(seed)
    rows: list[tuple[str, str, int, int]] = []
    for n in range(ROWS):
        user, item = int(rng.integers(20 + n // 10)), int(rng.geometric(0.06)) + n // 60
        rows.append((f"u{user}", f"i{item}", BEGIN_S + n // 2 * 600, int(rng.random() < 0.2 + 0.5 * (item % 3 == 0))))
    return rows


def log_of(path: Path, mapping: str) -> Log:
    lines = (",".join(map(str, row)) for row in rows_of(5))
    path.write_text("\n".join(["who,what,when,clicked", *lines]) + "\n", encoding="utf-8")
    return read(path, parse_columns(mapping, ()), warm_share=0.3)


class Evaluated:
    """A log, its report, and what a second run with the same seed recorded."""

    def __init__(self, log: Log, settings: Settings, result: Predictions | Ranks) -> None:
        self.log, self.result = log, result
        self.report: Report = evaluate(log, settings, on_progress=lambda _: None)
        self.parts: Breakdown = self.report.breakdown

    def outcomes(self, model: str) -> np.ndarray:
        own = self.result.chances if isinstance(self.result, Predictions) else self.result.ranks
        return {PRODUCT: own, **self.result.older, **self.result.baselines}[model][FIRST:]


@pytest.fixture(scope="module")
def clicks(tmp_path_factory: pytest.TempPathFactory) -> Evaluated:
    log = log_of(tmp_path_factory.mktemp("log") / "x.csv", "user=who,item=what,time=when,label=clicked")
    task = ctr.CtrTask(freeze_at=FIRST, seed=1)
    result = ctr.run(log, load_plan(FEATURES), task=task, on_progress=lambda _: None)
    return Evaluated(log, Settings(seed=1), result)


@pytest.fixture(scope="module")
def ranked(tmp_path_factory: pytest.TempPathFactory) -> Evaluated:
    log = log_of(tmp_path_factory.mktemp("log") / "x.csv", "user=who,item=what,time=when")
    task = rank.RankTask(allow_repeats=True, within_session=False, freeze_at=FIRST, seed=1)
    result = rank.run(log, load_plan(FEATURES), task=task, on_progress=lambda _: None)
    return Evaluated(log, Settings(seed=1, task="rank", allow_repeats=True), result)


def auc_by_pairs(chances: Sequence[float], labels: Sequence[float]) -> float:
    positives = [chance for chance, label in zip(chances, labels, strict=True) if label]
    negatives = [chance for chance, label in zip(chances, labels, strict=True) if not label]
    wins = [(one > other) + 0.5 * (one == other) for one, other in itertools.product(positives, negatives)]
    return sum(wins) / len(wins)


def spans(parts: Sequence[Part]) -> list[tuple[int, int]]:
    ends = np.cumsum([each.rows for each in parts]).tolist()
    return list(itertools.pairwise([0, *ends]))


def test_the_segments_of_a_split_have_each_scored_row_once(clicks: Evaluated, ranked: Evaluated) -> None:
    for evaluated in (clicks, ranked):
        rows, positives = Counter[str](), Counter[str]()
        for each in evaluated.parts.segments:
            rows[each.split] += each.part.rows
            positives[each.split] += each.part.positives
        assert set(rows) == {"users", "items", "popularity"}
        assert set(rows.values()) == {evaluated.report.scored}
        assert len(set(positives.values())) == 1


def test_segments_count_the_rows_of_earlier_timestamps(clicks: Evaluated) -> None:
    """Each row's segments by counting the rows before it from scratch."""
    visits = clicks.log.recording.visits
    found = {each.name.partition(":")[0] + each.split: each.rows for each in segments_of(visits)}
    for row, visit in enumerate(visits):
        before = [each for each in visits if each.at_ms < visit.at_ms]
        of_user = sum(each.user_id == visit.user_id for each in before)
        items = Counter(each.item_id for each in before)
        own = items[visit.item_id]
        as_frequent = sum(count >= own for count in items.values())
        assert found["newusers"][row] == (of_user < 5) != found["returningusers"][row]
        expected = {"unseenitems": own == 0, "newitems": 1 <= own < 5, "knownitems": own >= 5}
        assert {name: found[name][row] for name in expected} == expected
        assert found["headpopularity"][row] == (own > 0 and as_frequent <= 0.1 * len(items))
    assert all(rows.any() for rows in found.values())


def test_the_figure_of_a_segment_is_that_of_its_rows(clicks: Evaluated, ranked: Evaluated) -> None:
    for evaluated in (clicks, ranked):
        labels = [bool(visit.feedback) for visit in evaluated.log.recording.visits][FIRST:]
        for each, found in zip(segments_of(evaluated.log.recording.visits), evaluated.parts.segments, strict=True):
            chosen = each.rows[FIRST:]
            assert found.part.rows == chosen.sum() >= FEWEST
            for model in (PRODUCT, FROZEN, evaluated.parts.best_baseline):
                outcomes = evaluated.outcomes(model)[chosen].tolist()
                if evaluated is clicks:
                    expected = auc_by_pairs(outcomes, np.array(labels)[chosen].tolist())
                else:
                    expected = sum(outcome <= 10 for outcome in outcomes) / len(outcomes)
                assert found.part.figures[model].value == pytest.approx(expected)


def test_buckets_are_consecutive_and_their_hits_are_those_of_the_headline(ranked: Evaluated) -> None:
    parts = [each.part for each in ranked.parts.buckets]
    assert len(parts) == 20
    assert sum(each.rows for each in parts) == ranked.report.scored
    assert max(each.rows for each in parts) - min(each.rows for each in parts) <= 1
    for model in ranked.parts.compared:
        mean = sum(each.rows * each.figures[model].value for each in parts) / ranked.report.scored
        assert mean == pytest.approx(ranked.parts.models[model]["recall@10"].value)
    times = [visit.at_ms for visit in ranked.log.recording.visits[FIRST:]]
    for bucket, (begin, end) in zip(ranked.parts.buckets, spans(parts), strict=True):
        assert (bucket.first_ms, bucket.last_ms) == (times[begin], times[end - 1])
        assert bucket.first_ms <= bucket.middle_ms <= bucket.last_ms


def test_the_auc_of_a_bucket_is_that_of_its_rows(clicks: Evaluated) -> None:
    labels = [float(bool(visit.feedback)) for visit in clicks.log.recording.visits][FIRST:]
    parts = [each.part for each in clicks.parts.buckets]
    assert spans(parts)[-1][1] == clicks.report.scored
    for each, (begin, end) in zip(parts, spans(parts), strict=True):
        expected = auc_by_pairs(clicks.outcomes(PRODUCT)[begin:end].tolist(), labels[begin:end])
        assert each.figures[PRODUCT].value == pytest.approx(expected)
        assert each.positives == sum(labels[begin:end])


def test_the_bins_of_the_calibration_plot_add_up_to_the_calibration(clicks: Evaluated) -> None:
    bins = clicks.parts.calibration
    assert len(bins) == 10
    assert sum(each.rows for each in bins) == clicks.report.scored
    predicted, observed = (
        sum(each.rows * x for each, x in zip(bins, xs, strict=True))
        for xs in zip(*((each.predicted, each.observed) for each in bins), strict=True)
    )
    assert predicted / observed == pytest.approx(clicks.report.metrics["calibration"])
    assert [each.predicted for each in bins] == sorted(each.predicted for each in bins)


def test_sources_find_what_the_product_ranks(ranked: Evaluated) -> None:
    sources = ranked.parts.sources
    assert sources is not None
    assert [each.name for each in sources.each] == list(NAMES)
    assert sources.recall == pytest.approx(np.isfinite(ranked.outcomes(PRODUCT)).mean())
    assert all(0 <= each.alone <= each.share <= sources.recall for each in sources.each)
    assert sum(each.alone for each in sources.each) <= sources.recall <= sum(each.share for each in sources.each)
    assert max(each.candidates for each in sources.each) <= sources.candidates
    assert sources.candidates <= sum(each.candidates for each in sources.each)
    assert sources.recall > ranked.parts.models[PRODUCT]["recall@10"].value > 0


def test_the_counts_of_sources_by_hand() -> None:
    both, one = BITS["newest"] | BITS["popular"], BITS["popular"]
    candidates = Candidates(ids=np.arange(3), found_by=np.array([one, both, one]), indexes=np.arange(3))
    counts = SourceCounts.empty(2)
    counts.count(1, candidates, np.array([False, True, False]))
    assert (counts.positives.tolist(), counts.totals.tolist()) == ([0, both], [0, 3])
    assert dict(zip(NAMES, counts.found[1].tolist(), strict=True)) == dict.fromkeys(NAMES, 0) | {
        "newest": 1,
        "popular": 3,
    }


def test_the_models_are_compared_on_the_same_rows(clicks: Evaluated, ranked: Evaluated) -> None:
    for evaluated, figure in ((clicks, "log_loss"), (ranked, "recall@10")):
        for each in evaluated.parts.comparisons:
            own, other = (evaluated.parts.models[name][figure].value for name in (PRODUCT, each.other))
            better_by = other - own if figure == "log_loss" else own - other
            assert (each.figure, each.better_by) == (figure, pytest.approx(better_by))
        assert [each.other for each in evaluated.parts.comparisons] == [FROZEN, evaluated.parts.best_baseline]


def test_the_figures_of_all_models_are_those_of_the_report(clicks: Evaluated) -> None:
    report, parts = clicks.report, clicks.parts
    assert {name: each.value for name, each in parts.models[PRODUCT].items()} == report.metrics
    assert {name: each.error for name, each in parts.models[PRODUCT].items()} == report.standard_errors
    assert parts.models.keys() == {PRODUCT, FROZEN, *report.baselines}
    assert parts.best_baseline == max(report.baselines, key=lambda name: report.baselines[name]["auc"])


def test_few_rows_and_rows_of_one_label_have_no_figure() -> None:
    labels = np.repeat([0.0, 1.0], FEWEST)
    scored = ScoredRows(np.arange(2 * FEWEST), labels, {PRODUCT: np.linspace(0, 1, 2 * FEWEST)}, None, "auc")
    assert scored.part([PRODUCT], np.arange(FEWEST - 1, 2 * FEWEST - 1)).figures.keys() == {PRODUCT}
    assert scored.part([PRODUCT], np.arange(FEWEST, 2 * FEWEST)).figures == {}
    few = scored.part([PRODUCT], np.arange(FEWEST - 10, FEWEST + 10))
    assert (few.rows, few.positives, few.figures) == (20, 10, {})
    assert calibration(np.zeros(FEWEST - 1), np.zeros(FEWEST - 1)) == []
    assert [each.rows for each in calibration(np.zeros(95), np.zeros(95))] == [32, 32, 31]


def test_rows_of_one_timestamp_do_not_count_for_each_other() -> None:
    visits = [Visit(user_id="u", item_id="i", at_ms=n // 6, session_id="s", feedback=()) for n in range(12)]
    found = {each.name.partition(":")[0] + each.split: each.rows.tolist() for each in segments_of(visits)}
    assert found["newusers"] == found["unseenitems"] == [True] * 6 + [False] * 6
