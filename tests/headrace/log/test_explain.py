"""`headrace explain` takes a request or a user; tests/integration/test_explain.py runs it on a stack."""

import pytest

from headrace.errors import UsageProblem
from headrace.log.explain import explain


@pytest.mark.parametrize(
    ("arguments", "given"),
    [
        ({}, "no slate is given"),
        ({"request_id": "r1", "user": "ann"}, "r1 --user ann is given"),
        ({"request_id": "r1", "at": "2026-11-30"}, "r1 --at 2026-11-30 is given"),
        ({"at": "2026-11-30"}, "--at 2026-11-30 is given"),
    ],
)
def test_a_slate_is_named_by_its_request_or_its_user(arguments: dict[str, str], given: str) -> None:
    with pytest.raises(UsageProblem, match=f"^{given}; give either the request or the user: headrace explain REQUEST"):
        explain(**arguments)
