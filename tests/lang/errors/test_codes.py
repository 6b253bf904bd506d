"""The table of codes: every code is raised, the examples give their codes, and other verbs print the same messages."""

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from headrace.errors import UsageProblem
from headrace.features.budget import entity_problem, memory_problem
from headrace.features.cost import Cost, Keys, LiveVersion
from headrace.features.lateness_check import lateness_warning
from headrace.features.parity import Parity
from headrace.features.release import parity_problem, plan_release
from headrace.lang.errors.codes import CODES
from headrace.lang.plan.plan import Group, Plan
from headrace.lang.planner.load import check_files, parse_plan, read_texts
from headrace.lang.reference.error_page import find_problems
from headrace.lang.testfiles.cases import cases_in
from headrace.lang.testfiles.runner import run_cases
from headrace.layout import FEATURES, REPOSITORY
from headrace.schemas.control import CONTROL
from headrace.store.redis.usage import Usage
from headrace.store.versions import Versions
from tests.support.paths import TESTS

ROOMS = ("lang", "headrace", "jobs", "store", "serving", "udfs", "simulator", "learner", "models", "schemas")
OFFLINE = {code: each for code, each in CODES.items() if each.verb == "validate"}
TABLE = REPOSITORY / "lang" / "errors" / "codes.py"


def strings(path: Path) -> Iterator[str]:
    """The strings of a module without its docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    words = {id(each.value) for each in ast.walk(tree) if isinstance(each, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in words:
            yield node.value


def test_the_table_has_exactly_the_codes_that_are_raised() -> None:
    paths = [path for room in ROOMS for path in (REPOSITORY / room).rglob("*.py") if path != TABLE]
    raised = {code for path in paths for text in strings(path) for code in re.findall(r"\bF1\d\d\b", text)}
    assert sorted(raised - CODES.keys()) == [], "raised, and absent in lang/errors/codes.py"
    assert sorted(CODES.keys() - raised) == [], "in lang/errors/codes.py, and never raised"


@pytest.mark.parametrize("code", OFFLINE)
def test_an_example_has_its_code_and_its_fix_has_no_error(code: str) -> None:
    assert {problem.code for problem in find_problems(CODES[code].wrong)} == {code}
    assert find_problems(CODES[code].right) == ()


def test_warnings_do_not_prevent_a_plan(golden: Callable[[str, str], None]) -> None:
    folder = TESTS / "lang" / "fixtures" / "warnings"
    found = check_files(read_texts(FEATURES / "sources") | read_texts(folder))
    assert found.errors == ()
    assert [group.name for group in found.plan.groups] == ["slow", "long"]
    golden("errors/F112_retention.txt", "".join(f"{warning}\n" for warning in found.warnings))


def control(name: str, action: str, **arguments: str) -> bytes:
    return CONTROL.encode({"name": name, "action": action, "arguments": arguments, "who": "t", "at": 1, "why": ""})


def answering(group: Group) -> Versions:
    plan = msgspec.json.encode(group).decode()
    applied = control(f"group/{group.name}@{group.version}", "apply", plan=plan, job="features", from_ms="0")
    return Versions().apply_all([applied, control(f"live/{group.name}", "promote", version=str(group.version))])


def edited(name: str, *changes: tuple[str, str]) -> Plan:
    text = (FEATURES / f"{name}.sql").read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return parse_plan(read_texts(FEATURES / "sources") | {f"{name}.sql": text})


def plan_message(shipped: Plan, name: str, *changes: tuple[str, str]) -> str:
    with pytest.raises(UsageProblem) as raised:
        plan_release(edited(name, *changes), answering(shipped.group(name)))
    return str(raised.value).strip()


def test_messages_of_plan(shipped: Plan, golden: Callable[[str, str], None]) -> None:
    unversioned = plan_message(shipped, "item_next", ("= 'click'", "= 'impression'"))
    golden("errors/F115_version.txt", unversioned + "\n")
    assert unversioned == CODES["F115"].wrong
    renamed = plan_message(shipped, "item_next", ("version 2", "version 3"), ("AS next_items", "AS followers"))
    golden("errors/F117_unread.txt", renamed + "\n")
    assert renamed == CODES["F117"].wrong


def test_messages_of_plan_on_a_running_stack(shipped: Plan) -> None:
    live = shipped.group("item_engagement")
    wanted = msgspec.structs.replace(live, version=2, max_entities=5_000_000)
    held = Usage(keys=5_200_000, entities=5_200_000, bytes=5_200_000 * 4_600)
    assert entity_problem(wanted, LiveVersion(group=live, held=held, cell_bytes=None)) == CODES["F122"].wrong
    keys = Keys(5_200_000, 4_600)
    cost = Cost(group=wanted.name, events=0, minutes=0.0, redis=keys, flink_mb=None, touches=())
    assert memory_problem([cost], [wanted], 8_000_000_000) == CODES["F120"].wrong
    more_ms = 6 * 3_600_000 - live.source.lateness_ms
    source = msgspec.structs.replace(live.source, lateness_ms=6 * 3_600_000)
    late = [msgspec.structs.replace(g, source=source, retain_ms=g.retain_ms + more_ms) for g in shipped.groups]
    assert lateness_warning(source, late, [0] * 19_900 + [61_000] * 100) == CODES["F110"].wrong


def test_messages_of_test(shipped: Plan, golden: Callable[[str, str], None]) -> None:
    text = """
- name: two clicks
  given:
    clickstream: |
      event_id, occurred_at, received_at, user_id, event_type
      e1, 10:00:00, 10:00:01, u1, click
      e2, 10:01:00, 10:01:01, u1, click
      e3, 10:01:30, 10:01:31, u1, impression
  expect:
    - {at: "10:05:00", key: u1, clicks_24h: 3}
    - {at: "10:05:00", key: u2, clicks_24h: 1}
    - {late: 1}
"""
    ((group, case),) = cases_in({"user_recent.test.yaml": text}, shipped)
    message = [str(failure) for failure in run_cases(group, [case])]
    golden("errors/F150_test.txt", "\n".join(message) + "\n")
    assert CODES["F150"].wrong in message


def test_messages_of_promote(shipped: Plan, golden: Callable[[str, str], None]) -> None:
    parity = Parity(alike=9, unlike=1)
    parity.mismatched["clicks_1h"] = 1
    parity.worst.append("i1 clicks_1h: 3.0 in the first, 2.0 in the second")
    said = parity_problem("item_engagement@2", shipped.group("item_engagement"), parity)
    golden("errors/F160_parity.txt", said + "\n")
    assert said == CODES["F160"].wrong
