"""`headrace evaluate` on a project whose events have other names: its label is that of the score head."""

import shutil
from pathlib import Path

import pytest

from headrace.evaluation import ctr, rank
from headrace.evaluation.log import parse_columns, read
from headrace.evaluation.run import Settings, evaluate
from headrace.evaluation.to_sample import ShownItem, build_sample
from headrace.lang.planner.load import load_plan
from headrace.layout import FEATURES
from headrace.models.ranker.config import load_ranker_config
from headrace.schemas.model.heads import Head
from headrace.schemas.model.model_file import MODEL_FILE

HEADS = """
[heads.solved]
events = ["answered"]
event_weight = 3.0
blend = 0.7
[heads.converted]
events = ["purchase"]
event_weight = 10.0
blend = 0.2
[heads.engagement]
events = ["dwell"]
kind = "seconds"
loss_weight = 0.2
blend = 0.1
"""
COLUMNS = parse_columns("user=who,item=what,time=when,label=right", ())


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped groups over a project whose clicks are called `answered`, and whose first head is `solved`."""
    folder = tmp_path_factory.mktemp("own") / "features"
    shutil.copytree(FEATURES, folder)
    for file in folder.rglob("*.sql"):
        file.write_text(file.read_text().replace("'click'", "'answered'"))
    with (folder / MODEL_FILE).open("a") as file:
        file.write(HEADS)
    return folder


@pytest.fixture(scope="module")
def log_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = [f"u{n % 7},q{n * n % 11},{1_700_000_000 + n * 60},{int(n * n % 11 < 4)}" for n in range(300)]
    path = tmp_path_factory.mktemp("log") / "answers.csv"
    path.write_text("who,what,when,right\n" + "\n".join(rows) + "\n")
    return path


def test_it_predicts_the_score_head_as_well_as_it_predicts_clicks(own: Path, log_file: Path) -> None:
    head = load_ranker_config(None, own).heads.score
    named = read(log_file, COLUMNS, warm_share=0.3, head=head)
    assert {visit.feedback for visit in named.recording.visits} == {(("answered", None),), ()}
    found = evaluate(named, Settings(features=own), on_progress=lambda _: None)
    shipped = evaluate(read(log_file, COLUMNS, warm_share=0.3), Settings(), on_progress=lambda _: None)
    assert found.metrics == shipped.metrics


def test_task_rank_learns_the_score_head(own: Path, log_file: Path) -> None:
    config = load_ranker_config(None, own)
    log = read(log_file, parse_columns("user=who,item=what,time=when", ()), warm_share=0.3, head=config.heads.score)
    task = rank.RankTask(allow_repeats=True, within_session=False, freeze_at=100, seed=0, config=config)
    ranks = rank.run(log, load_plan(own), task=task, on_progress=lambda _: None)
    assert ranks.scored.sum() > 100


def test_a_rating_head_gets_an_event_with_the_least_value(log_file: Path) -> None:
    liked = Head(name="liked", events=("rating",), at_least=4.0)
    log = read(log_file, COLUMNS, warm_share=0.3, head=liked)
    assert {visit.feedback for visit in log.recording.visits} == {(("rating", 4.0),), ()}
    row = build_sample(log.recording.visits[0], _shown(liked), history=[], click=True)
    assert (row.said, row.weight) == ({"liked": 1.0}, 1.0)
    assert ctr.CtrTask(freeze_at=0).config.heads.score.name == "click"


def _shown(head: Head) -> ShownItem:
    return ShownItem(item_id="q", category="c", dense=b"", head=head)
