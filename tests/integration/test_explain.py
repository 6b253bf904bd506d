"""`headrace explain` on the running line: a slate of an earlier version is scored again, bit for bit."""

import re

import pytest

from headrace.client import ItemRecord, RecommendationAnswer, RecommendationRequest
from headrace.errors import UsageProblem
from headrace.log import explain
from headrace.registry import aliases
from headrace.schemas.versions.version_policy import parse_version
from headrace.simulator.sample_stream import stream
from tests.support.line import Line

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]
_SLOTS, _EVERY_MS = 900, 40  # half a minute of the learner's clock: a few versions


def live(line: Line) -> str:
    return next((each.version for each in aliases.fetch_models(line.endpoints).aliases if each.alias == "live"), "0.0")


def learn(line: Line, seed: int) -> str:
    """Have the line's learner make another version, and return the one that is live then."""
    before = parse_version(live(line))
    rows = stream(_SLOTS, seed=seed, every_ms=_EVERY_MS, begin_ms=line.now())
    line.write("samples", ((row.request_id, row.payload()) for row in rows))
    line.wait(lambda: parse_version(live(line)) > before, "another version in serving", deadline_s=120)
    return live(line)


def slate(line: Line, user: str) -> RecommendationAnswer:
    with line.client() as api:
        api.upsert_items(ItemRecord(item_id=f"{user}-i{n}", category=f"c{n % 5}") for n in range(40))
        line.wait(lambda: api.check_ready().items >= 40, "the items")
        return api.recommend(RecommendationRequest(user_id=user, count=10, explain="basic"))


def test_a_slate_of_an_earlier_version_is_scored_again_bit_for_bit(
    line: Line, capsys: pytest.CaptureFixture[str]
) -> None:
    learn(line, seed=3)
    user = f"explain{line.now()}"
    answer = slate(line, user)
    version, request_id = answer.versions.model, answer.request_id
    assert learn(line, seed=4) != version
    for arguments in ({"request_id": request_id}, {"user": user}, {"user": user, "at": str(line.now())}):
        assert explain.explain(**arguments) == 0
        out = capsys.readouterr().out
        assert request_id in out
        assert f"click scored again by version {version}: 10 of 10 bit-equal" in out
        assert f"score scored again by version {version}: 10 of 10 bit-equal" in out
        assert "not scored again" not in out
    served = re.search(r"served (\S+ \S+) UTC", out)
    assert served
    assert explain.explain(user=user, at=served[1]) == 0  # in whole seconds, as printed


def test_what_the_log_does_not_have_is_said(line: Line) -> None:
    for arguments, message in (
        ({"request_id": "r-unknown"}, "has no slate of request 'r-unknown'"),
        ({"user": "nobody-at-all"}, "has no slate of user 'nobody-at-all'"),
        ({"user": "u", "at": "soon"}, "soon"),
    ):
        with pytest.raises(UsageProblem, match=message):
            explain.explain(**arguments)
