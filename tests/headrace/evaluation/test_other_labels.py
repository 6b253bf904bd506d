"""Labels of other heads in a log: how they are read, that the ranker learns them, and that no input knows them."""

import numpy as np
import pytest
from msgspec import structs

from headrace.errors import UsageProblem
from headrace.evaluation import ctr
from headrace.evaluation.log import parse_columns, read
from headrace.evaluation.outputs import Outputs
from headrace.evaluation.progressive import with_own_weights
from headrace.evaluation.run import Settings, command
from headrace.lang.planner.load import load_plan
from headrace.layout import FEATURES
from headrace.replay.writer import ExposureBuilder, build_events
from headrace.schemas.model.heads import SHIPPED_HEADS, Head, Heads
from tests.support.batches import batch

AT = 1_700_000_000
PLAIN = "user=who,item=what,time=when,label=clicked"
WATCHED = f"{PLAIN},engagement=watched_ms"


def log_of(path, cells, mapping=WATCHED, *, header="watched_ms", heads=None):
    """A log of two users in turns, a click in every third row; `cells`: what its last column says."""
    rows = [f"u{n % 2},i{n % 5},{AT + n * 60},{int(n % 3 == 0)},{cell}" for n, cell in enumerate(cells)]
    path.write_text(f"who,what,when,clicked,{header}\n" + "\n".join(rows) + "\n")
    columns = parse_columns(mapping, (), heads) if heads else parse_columns(mapping, ())
    return read(path, columns, warm_share=0.5)


def samples_of(log):
    exposures, visits = ExposureBuilder(log.recording, load_plan(FEATURES)), log.recording.visits
    samples = []
    for row, visit in enumerate(visits):
        samples += ctr.build_samples(exposures, log, [row])
        exposures.add_events(build_events(f"row-{row}", visit))
    return samples


def test_seconds_are_labels_and_milliseconds_by_the_name_of_the_column(tmp_path):
    cells = ["1500", "0", "", "NULL", "2.5"]
    log = log_of(tmp_path / "x.csv", cells)
    assert [labels["engagement"] for labels in log.labels] == [1.5, 0.0, 0.0, 0.0, 0.0025]
    in_seconds = log_of(tmp_path / "y.csv", cells, f"{PLAIN},engagement=watched", header="watched")
    assert [labels["engagement"] for labels in in_seconds.labels] == [1500.0, 0.0, 0.0, 0.0, 2.5]
    assert [(each.click, each.engagement, each.converted) for each in samples_of(log)[:2]] == [
        (1.0, 1.5, None),
        (0.0, 0.0, None),
    ]


def test_another_logistic_head_has_labels_of_0_and_1(tmp_path):
    mapping = f"{PLAIN},converted=bought"
    log = log_of(tmp_path / "x.csv", ["1", "0", "", "true", "maybe"], mapping, header="bought")
    assert [labels["converted"] for labels in log.labels] == [1.0, 0.0, 0.0, 1.0]
    assert log.faults == ["line 6: converted is 'maybe', 0 or 1 is expected"]


def test_a_cell_that_is_no_length_leaves_its_row_out(tmp_path):
    log = log_of(tmp_path / "x.csv", ["1500", "soon", "-3", "86400001"])
    assert log.faults == [
        f"line {line}: engagement is '{cell}', milliseconds of at most a day are expected"
        for line, cell in ((3, "soon"), (4, "-3"), (5, "86400001"))
    ]
    assert [(left.reason, left.rows) for left in log.summary.left_out] == [("no label of another head", 3)]


def test_a_head_of_a_project_is_named_by_its_own_name(tmp_path):
    heads = Heads((Head(name="opened", events=("open",)), Head(name="read", events=("dwell",), kind="seconds")))
    log = log_of(tmp_path / "x.csv", ["1500"] * 3, f"{PLAIN},read=watched_ms", heads=heads)
    assert log.labels == [{"read": 1.5}] * 3
    (sample,) = ctr.build_samples(ExposureBuilder(log.recording, load_plan(FEATURES)), log, [0], head=heads.score)
    assert sample.said == {"opened": 1.0, "read": 1.5}


@pytest.mark.parametrize("word", ["click", "read", "watched"])
def test_the_score_head_and_unknown_heads_are_refused_with_the_words_there_are(word):
    with pytest.raises(UsageProblem) as raised:
        parse_columns(f"{PLAIN},{word}=x", ())
    expected = "write user=…,item=…,time=…, and optionally label=…, session=…, slate=…, converted=…, engagement=…"
    assert str(raised.value) == f"--map is '{PLAIN},{word}=x'; {expected}"


def test_a_column_that_the_log_lacks_is_refused(tmp_path):
    with pytest.raises(UsageProblem, match="has no column seconds; it has who, what, when, clicked, watched_ms"):
        log_of(tmp_path / "x.csv", ["1"], f"{PLAIN},engagement=seconds")


def test_only_task_ctr_learns_them(tmp_path):
    columns = parse_columns("user=who,item=what,time=when,engagement=watched_ms", ())
    with pytest.raises(UsageProblem, match="task rank learns from positives alone; remove engagement=watched_ms"):
        command(tmp_path / "x.csv", Settings(task="rank"), columns=columns, items_file=None, outputs=Outputs())


def test_no_input_knows_them(tmp_path):
    """However long the rows were watched, their own inputs and those of later rows are the same to the bit."""
    short, long = (log_of(tmp_path / f"{cell}.csv", [cell] * 40) for cell in ("10", "600000"))
    for one, other in zip(samples_of(short), samples_of(long), strict=True):
        assert (one.dense, one.history, one.click) == (other.dense, other.history, other.click)
        assert (one.engagement, other.engagement) == (0.01, 600.0)


def test_each_label_has_the_weight_of_its_own_head():
    """A click counts three times, a purchase ten times, seconds and zeros once, and what is not labelled not at all."""
    labels = np.array([[1, 1, 30], [1, 0, 0], [0, 1, 30], [0, 0, 0], [1, 0, 0]], np.float32)
    counts = np.ones_like(labels)
    counts[4, 1:] = 0.0
    row_weights = np.where(labels[:, :1] > 0, np.float32(3), np.float32(1)) * (counts > 0)

    rows = structs.replace(batch(size=5), labels=labels, weights=row_weights, counts=counts)
    assert with_own_weights(rows, SHIPPED_HEADS).weights.tolist() == [
        [3, 10, 1],
        [3, 1, 1],
        [1, 10, 1],
        [1, 1, 1],
        [3, 0, 0],
    ]


def test_the_ranker_learns_them(tmp_path):
    """The first batch is predicted alike; then the networks differ, by what they have learned of the seconds."""
    task, plan = ctr.CtrTask(freeze_at=20, seed=1), load_plan(FEATURES)
    logs = [log_of(tmp_path / f"{cell}.csv", [cell] * 140) for cell in ("10", "600000")]
    short, long = (ctr.run(log, plan, task=task, on_progress=lambda _: None).chances for log in logs)
    np.testing.assert_array_equal(short[:20], long[:20])
    assert not np.array_equal(short[100:], long[100:])
