"""The fold of the decisions about feature versions."""

import msgspec

from headrace.lang.plan.plan import Group
from headrace.lang.planner.load import load_plan
from headrace.schemas.control import CONTROL, Control, control_of
from headrace.store.versions import Versions
from tests.support.paths import REPOSITORY

PLAN = load_plan(REPOSITORY / "features")
GROUP = PLAN.group("item_engagement")


def decision(name: str, action: str, **arguments: str) -> bytes:
    return CONTROL.encode({"name": name, "action": action, "arguments": arguments, "who": "t", "at": 1, "why": ""})


def applied(group: Group, job: str, from_ms: int = 0) -> bytes:
    plan = msgspec.json.encode(group).decode()
    return decision(f"group/{group.name}@{group.version}", "apply", plan=plan, job=job, from_ms=str(from_ms))


def live(version: int, action: str = "promote") -> bytes:
    return decision(f"live/{GROUP.name}", action, version=str(version))


SECOND = msgspec.structs.replace(GROUP, version=2)
BOTH = [applied(GROUP, "features"), live(1), applied(SECOND, "own", 5)]


def test_a_version_answers_only_when_promoted() -> None:
    versions = Versions().apply_all(BOTH)
    assert versions.groups() == (GROUP, SECOND)
    assert versions.live_groups() == (GROUP,)
    assert versions.apply_all([live(2)]).live_groups() == (SECOND,)
    assert versions.apply_all([live(2), live(1, "rollback")]).live_groups() == (GROUP,)


def test_jobs_and_the_times_they_read_from() -> None:
    versions = Versions().apply_all(BOTH)
    assert versions.jobs() == ("features", "own")
    assert versions.computed_by("own") == (SECOND,)
    assert (versions.reads_from("own"), versions.reads_from("features")) == (5, 0)
    assert versions.apply_all([applied(SECOND, "own", 2)]).reads_from("own") == 2


def test_a_retired_version_is_gone() -> None:
    versions = Versions().apply_all([*BOTH, decision("group/item_engagement@2", "retire")])
    assert versions.groups() == (GROUP,)
    assert (versions.jobs(), [version.job for version in versions.retired.values()]) == (("features",), ["own"])
    assert versions.apply_all([applied(SECOND, "own")]).retired == {}


def test_decisions_that_cannot_be_applied_change_nothing() -> None:
    versions = Versions().apply_all(BOTH)
    assert versions.apply_all([decision("group/item_engagement@1", "retire")]) == versions, "it is live"
    assert versions.apply_all([live(3)]) == versions, "it does not exist"
    assert versions.apply_all([live(1)]) == versions, "it is live already"
    assert versions.apply_all([live(2), live(2)]).live["item_engagement"].previous == 1


def test_a_version_filled_from_another_time_ends_its_previous_job() -> None:
    versions = Versions().apply_all([*BOTH, applied(SECOND, "own from 2", 2)])
    assert (versions.jobs(), versions.ended) == (("features", "own from 2"), {"own"})


def test_the_metadata_of_a_version_may_change() -> None:
    versions = Versions().apply_all(BOTH)
    renamed = msgspec.structs.replace(GROUP, owner="another")
    updated = versions.apply_all([applied(renamed, "features")])
    assert updated.live_groups() == (renamed,)
    assert (updated.jobs(), updated.ended) == (versions.jobs(), frozenset())


def test_other_records_and_invalid_ones_change_nothing() -> None:
    versions = Versions().apply_all(BOTH)
    others = [None, b"", b"\xff\xff", decision("alias/frozen", "pin", version="1.4")]
    assert versions.apply_all(others) == versions
    broken = [
        decision("group/a@1", "apply", plan="{}", job="j"),
        decision("group/a@1", "apply"),
        decision("live/a", "promote"),
    ]
    assert versions.apply_all(broken) == versions
    assert control_of(others[-1]) == Control(
        name="alias/frozen", action="pin", arguments={"version": "1.4"}, who="t", at=1, why=""
    )
