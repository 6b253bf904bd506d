"""The rivals get the product's rows in the product's order, and are scored against the product."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmarks.inputs.periods import HOUR_MS
from benchmarks.inputs.recorded_rows import Predictions, Row, Stream, evaluate_progressively, first_rows, stream_of
from benchmarks.peers import lightgbm_peer, river_loop
from benchmarks.peers.light_ranker import LightRanker
from benchmarks.peers.lightgbm_peer import LightGbm
from benchmarks.rivals import Scorer, product, ranker
from headrace.errors import UsageProblem
from headrace.evaluation.log import Log, parse_columns, read
from headrace.evaluation.to_sample import ShownItem, build_sample
from headrace.lang.planner.load import load_plan
from headrace.layout import FEATURES
from headrace.models.ranker.inputs import DENSE
from headrace.replay.recordings import Visit
from headrace.schemas.model.heads import SHIPPED_HEADS
from headrace.schemas.samples import Sample

COLUMNS = "user=user,item=item,time=at,label=click"
ROWS = 160


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Log:
    path: Path = tmp_path_factory.mktemp("rivals") / "log.csv"
    rng = np.random.default_rng(1)
    lines = [
        f"u{rng.integers(9)},i{item},{1_650_000_000 + row // 2},{int(rng.random() < (0.9 if item < 5 else 0.1))},{item}"
        for row, item in enumerate(rng.integers(10, size=ROWS))
    ]
    path.write_text("\n".join(["user,item,at,click,length", *lines]) + "\n")
    return read(path, parse_columns(COLUMNS, ("length",)), warm_share=0.3)


@pytest.fixture(scope="module")
def stream(log: Log) -> Stream:
    return stream_of(log, load_plan(FEATURES))


def test_the_stream_has_the_samples_that_the_product_learns_from(log: Log, stream: Stream) -> None:
    ours = product(log, load_plan(FEATURES), freeze_at=ROWS)
    assert np.array_equal(ours.chances, ranker(stream).chances)
    assert np.array_equal([row.dense for row in stream.rows], [np.frombuffer(s.dense, "<f4") for s in stream.samples])


def test_all_rows_of_a_timestamp_are_predicted_before_any_is_learned(stream: Stream) -> None:
    learned: list[int] = []
    predictions = evaluate_progressively(
        stream, predict=lambda _: float(len(learned)), learn=lambda row: learned.append(row.label)
    )
    assert predictions.chances.tolist() == [row // 2 * 2 for row in range(ROWS)]
    assert learned == stream.labels.tolist()


@pytest.mark.parametrize("inputs", river_loop.CONTENDERS)
def test_river_learns(stream: Stream, inputs: str) -> None:
    predictions = river_loop.run(stream, inputs, optimiser="AdaGrad", rate=0.1)
    late, labels = predictions.chances[ROWS // 2 :], stream.labels[ROWS // 2 :]
    assert late[labels > 0].mean() > late[labels == 0].mean() + 0.1


@pytest.fixture(scope="module")
def lightgbm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LightGbm]:
    """Four hours of 200 rows: the label is the dense input, and from the third hour on the opposite."""
    rows, samples = list[Row](), list[Sample]()
    for number in range(800):
        at_ms, value = number // 200 * HOUR_MS + number, number % 2
        label = value if number < 400 else 1 - value
        rows.append(Row("u", f"i{number % 2}", "b", "0", [float(value)], label))
        visit = Visit(user_id="u", item_id="i", at_ms=at_ms, session_id="s", feedback=())
        shown = ShownItem(item_id="i", category="b", dense=b"", feature_set="", head=SHIPPED_HEADS.score)
        samples.append(build_sample(visit, shown, history=(), click=bool(label)))
    with lightgbm_peer.lightgbm(Stream(rows, list(range(800)), samples), tmp_path_factory.mktemp("lightgbm")) as found:
        yield found


@pytest.mark.parametrize("inputs", ["raw", "dense"])
def test_lightgbm_sees_no_label_of_the_hour_that_it_predicts(lightgbm: LightGbm, inputs: str) -> None:
    chances = lightgbm.run(inputs, settings=lightgbm_peer.Settings(100, 2, 0.1, 30, share=1)).chances
    expected = [0.5, 1.0, 1.0, 2 / 3]  # of a row whose input is 1: the share of clicks among those of earlier hours
    for hour, chance in enumerate(expected):
        assert chances[200 * hour + 1 : 200 * hour + 200 : 2] == pytest.approx(chance, abs=0.01)
        assert chances[200 * hour : 200 * hour + 200 : 2] == pytest.approx(1 - chance, abs=0.01)


def test_lightgbm_forgets_rows_that_are_too_old(lightgbm: LightGbm) -> None:
    chances = lightgbm.run("dense", settings=lightgbm_peer.Settings(100, 2, 0.1, 1.01 / 24, share=1)).chances
    assert chances[601::2] == pytest.approx(0.0, abs=0.01)


def test_a_trial_reads_the_first_rows(log: Log) -> None:
    assert [visit.at_ms for visit in first_rows(log, 3).recording.visits] == [1_650_000_000_000] * 2 + [
        1_650_000_001_000
    ]
    assert first_rows(log, None) is log
    with pytest.raises(UsageProblem, match="a trial of 0 rows"):
        first_rows(log, 0)


def test_the_best_setting_is_scored_against_the_product() -> None:
    labels, ours = np.array([1.0, 0.0, 1.0]), np.array([0.8, 0.2, 0.8])
    worse, worst = Predictions(np.array([9.0, 0.6, 0.4, 0.6]), 2.0), Predictions(np.array([9.0, 0.1, 0.9, 0.1]), 1.0)
    scored = Scorer(labels, ours).best("rival", {"worst": worst, "worse": worse})
    assert (scored.setting, scored.rows_per_s) == ("worse", 2)
    assert scored.behind.value == pytest.approx(np.log(0.8 / 0.6))
    assert scored.behind.error == pytest.approx(0.0)


def test_the_light_ranker_learns_labels_alone() -> None:
    rng, ranker = np.random.default_rng(2), LightRanker(seed=0)
    inputs = rng.normal(size=(64, len(DENSE))).astype(np.float32)
    labels = (inputs[:, 0] > 0).astype(np.float32)
    first = ranker.predict_and_learn(inputs, labels)
    for _ in range(400):
        last = ranker.predict_and_learn(inputs, labels)
    assert np.allclose(first, 0.5)
    assert np.abs(last - labels).mean() < 0.2
