"""Decisions that this software cannot apply are found before any consumer applies them."""

import msgspec

from headrace.lang.plan.plan import Group
from headrace.schemas.control import Control
from headrace.store.kafka.decision_reader import fault_of
from tests.support.law_groups import PLAN

GROUP = PLAN.group("everything")


def applied(group: Group | None = None, plan: str = "") -> bytes:
    text = msgspec.json.encode(group).decode() if group else plan
    return decision("group/a@1", "apply", plan=text, job="j")


def decision(name: str, action: str, **arguments: str) -> bytes:
    return Control(name=name, action=action, arguments=arguments, who="", at=1, why="").payload()


def test_a_plan_that_cannot_be_loaded_is_not_a_decision() -> None:
    assert fault_of(applied(GROUP)) is None
    assert fault_of(decision("anything", "else")) is None
    odd = [
        applied(plan="[" * 100_000),
        applied(plan='{"name":' * 5_000),
        applied(plan="null"),
        applied(msgspec.structs.replace(GROUP, name="a b")),
        applied(msgspec.structs.replace(GROUP, name="x" * 300)),
        applied(msgspec.structs.replace(GROUP, entity=())),
        decision("model/ranker", "rollback", version="1.1", epoch="9" * 5_000),
        decision("model/ranker", "promote"),
        decision("live/a", "promote", version="one"),
    ]
    assert all(str(fault_of(each)).startswith("decision: ") for each in odd), [fault_of(each) for each in odd]
    assert str(fault_of(b"\xff" * 40)).startswith("unreadable: ")


def test_an_absent_argument_is_named() -> None:
    fault = fault_of(decision("model/ranker", "promote", epoch="2"))
    assert fault == (
        "decision: 'promote' of 'model/ranker' lacks the argument 'version'; "
        "was it written by another version of headrace?"
    )


def test_a_tombstone_decides_nothing() -> None:
    assert fault_of(None) is None
