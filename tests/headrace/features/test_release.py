"""What a release plan starts, and what it refuses before anything is started."""

import msgspec
import pytest

from headrace.errors import UsageProblem
from headrace.features.release import plan_release
from headrace.lang.plan.plan import Plan
from headrace.lang.planner.load import load_plan
from headrace.store.versions import LiveState, Version, Versions
from tests.support.paths import REPOSITORY

PLAN = load_plan(REPOSITORY / "features")
RUNNING = Versions(
    applied={f"{group.name}@{group.version}": Version(group=group, job="features") for group in PLAN.groups},
    live={group.name: LiveState(group.version) for group in PLAN.groups},
)


def test_the_shipped_files_change_nothing_on_a_stack_that_runs_them() -> None:
    assert plan_release(PLAN, RUNNING).changes == []


def test_changed_metadata_alone_starts_no_version() -> None:
    live, *others = PLAN.groups
    wanted = msgspec.structs.replace(live, owner="another", max_entities=5)
    found = plan_release(Plan(PLAN.sources, (wanted, *others)), RUNNING)
    assert [change.kind for change in found.changes] == ["cosmetic"]
    assert (found.groups, found.reworded) == ([], [wanted])


def test_the_live_version_keeps_its_metadata_alongside_a_new_one() -> None:
    live, *others = PLAN.groups
    wanted = msgspec.structs.replace(live, version=2, owner="another", on_missing="null")
    found = plan_release(Plan(PLAN.sources, (wanted, *others)), RUNNING)
    assert (found.groups, found.reworded) == ([wanted], [])


def test_an_applied_version_that_is_not_live_yet_is_waiting() -> None:
    live, *others = PLAN.groups
    wanted = msgspec.structs.replace(live, version=2, on_missing="null")
    running = msgspec.structs.replace(
        RUNNING, applied={**RUNNING.applied, wanted.title: Version(group=wanted, job="x")}
    )
    found = plan_release(Plan(PLAN.sources, (wanted, *others)), running)
    assert (found.changes, found.groups, found.waiting) == ([], [], [wanted.title])
    other = msgspec.structs.replace(wanted, where=None)
    with pytest.raises(UsageProblem, match="has been applied before"):
        plan_release(Plan(PLAN.sources, (other, *others)), running)


def test_a_stream_keeps_the_declaration_that_its_ingest_runs_with() -> None:
    source = msgspec.structs.replace(PLAN.source("clickstream"), lateness_ms=1)
    groups = tuple(msgspec.structs.replace(group, source=source, version=2) for group in PLAN.groups)
    with pytest.raises(UsageProblem, match="F115 source clickstream: its declaration changed"):
        plan_release(Plan((source,), groups), RUNNING)
