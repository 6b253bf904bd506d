"""What a release plan refuses before anything is started: a stream declared otherwise than it runs."""

from pathlib import Path

import msgspec
import pytest

from headrace.errors import UsageProblem
from headrace.features.release import planned
from lang.plan.plan import Plan
from lang.planner.load import load_plan
from store.versions import LiveState, Version, Versions

PLAN = load_plan(Path(__file__).parents[2] / "features")
RUNNING = Versions(
    applied={f"{group.name}@{group.version}": Version(group=group, job="features") for group in PLAN.groups},
    live={group.name: LiveState(group.version) for group in PLAN.groups},
)


def test_the_shipped_files_change_nothing_on_a_stack_that_runs_them() -> None:
    assert planned(PLAN, RUNNING).changes == []


def test_words_alone_are_told_and_start_nothing() -> None:
    live, *others = PLAN.groups
    wanted = msgspec.structs.replace(live, owner="another", max_entities=5)
    found = planned(Plan(PLAN.sources, (wanted, *others)), RUNNING)
    assert [change.kind for change in found.changes] == ["cosmetic"]
    assert (found.groups, found.reworded) == ([], [wanted])


def test_the_version_that_answers_keeps_its_words_beside_another() -> None:
    live, *others = PLAN.groups
    wanted = msgspec.structs.replace(live, version=2, owner="another", on_missing="null")
    found = planned(Plan(PLAN.sources, (wanted, *others)), RUNNING)
    assert (found.groups, found.reworded) == ([wanted], [])


def test_a_version_that_was_applied_and_does_not_answer_yet_is_waited_for() -> None:
    live, *others = PLAN.groups
    wanted = msgspec.structs.replace(live, version=2, on_missing="null")
    running = msgspec.structs.replace(
        RUNNING, applied={**RUNNING.applied, wanted.title: Version(group=wanted, job="x")}
    )
    found = planned(Plan(PLAN.sources, (wanted, *others)), running)
    assert (found.changes, found.groups, found.waiting) == ([], [], [wanted.title])
    other = msgspec.structs.replace(wanted, where=None)
    with pytest.raises(UsageProblem, match="has been applied before"):
        planned(Plan(PLAN.sources, (other, *others)), running)


def test_a_stream_keeps_the_declaration_that_its_ingest_runs_by() -> None:
    source = msgspec.structs.replace(PLAN.source("clickstream"), lateness_ms=1)
    groups = tuple(msgspec.structs.replace(group, source=source, version=2) for group in PLAN.groups)
    with pytest.raises(UsageProblem, match="F115 source clickstream: its declaration changed"):
        planned(Plan((source,), groups), RUNNING)
