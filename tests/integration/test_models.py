"""`headrace models` on the running line: back in seconds, bit for bit, through kill -9 of serving; frozen; pinned."""

import os
import signal
import time

import pytest

from headrace.errors import UsageProblem
from headrace.log import model_versions
from headrace.registry import aliases, rollback
from headrace.schemas.http import AliasState
from headrace.schemas.versions.version_policy import parse_version, version_text
from headrace.simulator.sample_stream import stream
from tests.support.line import Line

pytestmark = [pytest.mark.stack, pytest.mark.long]
_SLOTS, _EVERY_MS = 3_000, 40  # two minutes of the learner's clock: a dozen versions
_BAR_S = 5.0


@pytest.fixture(scope="module")
def learnt(line: Line) -> Line:
    """The line when its own learner has made a dozen versions and serving has the last."""
    before = live(line).version if has_live(line) else "0.0"
    rows = stream(_SLOTS, seed=3, every_ms=_EVERY_MS, begin_ms=line.now())
    line.write("samples", ((row.request_id, row.payload()) for row in rows))
    wanted = parse_version(before)[1] + 10
    line.wait(lambda: has_live(line) and parse_version(live(line).version)[1] >= wanted, "a dozen versions in serving")
    line.wait(
        lambda: live(line).version == version_text(model_versions.read_model_versions(line.endpoints).live),
        "the last version",
    )
    return line


def as_fields(row) -> dict[str, object]:
    return {name: getattr(row, name) for name in row.__struct_fields__}


def has_live(line: Line) -> bool:
    return any(each.alias == "live" for each in aliases.fetch_models(line.endpoints).aliases)


def live(line: Line) -> AliasState:
    return next(each for each in aliases.fetch_models(line.endpoints).aliases if each.alias == "live")


def test_back_and_on_and_back_again_after_a_kill(learnt: Line, capsys: pytest.CaptureFixture[str]) -> None:
    line, told = learnt, aliases.fetch_models(learnt.endpoints)
    steps = 3
    path = model_versions.read_model_versions(line.endpoints)
    target = version_text(sorted(filter(path.policy.allows, path.versions))[-1 - steps])
    assert target in {each.version for each in told.history}
    epoch = path.next_epoch
    begun = time.monotonic()
    rollback.rollback(steps=steps, why="a test")
    assert time.monotonic() - begun < _BAR_S
    assert target in capsys.readouterr().out or parse_version(live(line).version)[0] == epoch
    line.wait(lambda: live(line).version == f"{epoch}.1", "the new epoch in serving")
    expected = live(line).fingerprint
    os.kill(line.supervisor.programs()["serving"][1], signal.SIGKILL)
    line.wait(lambda: has_live(line) and live(line).version == f"{epoch}.1", "serving back")
    assert live(line).fingerprint == expected
    model_versions.history()
    said = capsys.readouterr().out
    assert "rollback" in said
    assert "a test" in said
    assert "left" in said


def test_what_cannot_be_gone_back_to_is_told_and_nothing_is_written(learnt: Line) -> None:
    before = len(model_versions.read_model_versions(learnt.endpoints).decisions)
    for wanted, message in (
        (("9.9", 1), "is not on the log"),
        (("x", 1), "is not a version"),
        ((None, 999), "--steps"),
    ):
        to, steps = wanted
        with pytest.raises(UsageProblem, match=message):
            rollback.rollback(to=to, steps=steps, why="")
    with pytest.raises(UsageProblem, match="is live already"):
        rollback.rollback(to=live(learnt).version, why="")
    with pytest.raises(UsageProblem, match="not frozen"):
        rollback.unfreeze(why="")
    assert len(model_versions.read_model_versions(learnt.endpoints).decisions) == before


def test_frozen_pinned_and_thawed(learnt: Line, capsys: pytest.CaptureFixture[str]) -> None:
    line = learnt
    rollback.freeze(why="a look")
    line.wait(lambda: aliases.fetch_models(line.endpoints).frozen == live(line).version, "frozen in serving")
    with pytest.raises(UsageProblem, match="already"):
        rollback.freeze(why="again")
    aliases.pin("live", alias="kept", why="a test")
    line.wait(lambda: "kept" in {each.alias for each in aliases.fetch_models(line.endpoints).aliases}, "the alias")
    aliases.list_aliases()
    assert "frozen at" in capsys.readouterr().out
    rollback.unfreeze(why="seen")
    line.wait(lambda: aliases.fetch_models(line.endpoints).frozen is None, "thawed in serving")
