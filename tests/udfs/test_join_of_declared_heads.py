"""The samples job with declared heads: which events it reads, what it writes, and how it goes on from other heads."""

from pathlib import Path

import pytest

from headrace.jobs.settings import JobSettings
from headrace.lang.planner.load import load_plan
from headrace.layout import FEATURES
from headrace.schemas.model.heads import SHIPPED_HEADS, Heads
from headrace.schemas.model.model_file import MODEL_FILE
from tests.support.heads import DECLARED
from tests.udfs.test_join import NOW_MS, SLATE, SLOT, SOUND, WAIT_MS, Flink, labels_of


def test_declared_heads_are_labelled_from_their_events() -> None:
    flink = Flink(heads=DECLARED)
    flink.serve(SOUND)
    flink.pass_time(NOW_MS + 300)
    said = [
        *flink.react(event_type="rating", value=2.0),
        *flink.react(event_type="click"),
        *flink.react(event_type="rating", value=5.0, received_at=NOW_MS + 20),
    ]
    assert [(row["kind"], row["labels"], row["undo"]) for row in labels_of(said)] == [
        ("explicit", {"liked": 0.0}, 0.0),
        ("correction", {"liked": 1.0}, 1.0),
    ]
    assert [row["urgent"] for row in said] == [False, True]
    closing = labels_of(flink.pass_time(NOW_MS + WAIT_MS))
    slot = [row["labels"] for row in closing if row["position"] == SLOT["position"]]
    assert slot == [{"opened": 0.0, "hidden": 0.0, "stay": 0.0}]
    assert len(closing) == len(SLATE["slots"])


def test_a_job_restored_with_other_heads_keeps_the_labels_of_its_open_slates_apart() -> None:
    before, after = Flink(), Flink(heads=Heads((DECLARED.table[2], *SHIPPED_HEADS.table[::-1])))
    before.serve(SOUND)
    before.pass_time(NOW_MS + 300)
    before.react(event_type="click")
    after.join._state, after.join._payloads = before.join._state, before.join._payloads
    after.timers = before.timers
    assert labels_of(after.react(event_type="click", received_at=NOW_MS + 20)) == []
    assert labels_of(after.react(event_type="rating", value=5.0, received_at=NOW_MS + 30)) == []
    (row,) = [row for row in labels_of(after.pass_time(NOW_MS + WAIT_MS)) if row["position"] == SLOT["position"]]
    assert (row["click"], row["converted"], row["engagement"], row["labels"]) == (None, 0.0, 0.0, {})


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of PyFlink's own modules, as they are imported
def test_the_job_reads_the_events_of_the_declared_heads(tmp_path: Path) -> None:
    from headrace.jobs.samples import ddl, heads_of

    settings = JobSettings(bootstrap="b:1", features=tmp_path)
    source = load_plan(FEATURES).event_source
    assert "`event_type` IN ('_bot', 'click', 'dwell', 'purchase')" in ddl(source, settings, heads_of(settings))[-1]
    (tmp_path / MODEL_FILE).write_text("[heads.liked]\nevents = [\"thumb's up\"]\nnegatives = ['hide']\nblend = 1")
    assert "`event_type` IN ('_bot', 'hide', 'thumb''s up')" in ddl(source, settings, heads_of(settings))[-1]
    (tmp_path / MODEL_FILE).write_text("[heads.liked]\nblend = 1")
    with pytest.raises(SystemExit, match=r"--features: .*heads\.liked"):
        heads_of(settings)
