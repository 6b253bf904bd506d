"""The rivals get the product's rows in the product's order, and are scored against the product."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.inputs.recorded_rows import Predictions, Stream, evaluate_progressively, stream_of
from benchmarks.peers import river_loop
from benchmarks.peers.light_ranker import LightRanker
from benchmarks.rivals import Scorer, product, ranker
from headrace.evaluation.log import Log, parse_columns, read
from headrace.lang.planner.load import load_plan
from headrace.layout import FEATURES
from headrace.models.ranker.inputs import DENSE

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
