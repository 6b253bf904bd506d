"""What `headrace status` says when a part stops, a record is set aside, and all is well again."""

import os
import signal

import pytest

from headrace.client import RecommendationRequest
from headrace.stack.status import Status, gather
from tests.support.line import Line

pytestmark = pytest.mark.stack
CONSUMERS = {"ingest", "features", "samples", "loader", "learner"}


def events(line: Line, tag: str, count: int) -> list[dict[str, object]]:
    now = line.now()
    kept = {"event_type": "click", "occurred_at": now, "received_at": now, "item_id": f"{tag}-i"}
    return [{"event_id": f"{tag}-{number}", "user_id": f"{tag}-u{number}", **kept} for number in range(count)]


def test_a_loader_that_stops_shows_as_lag_and_its_return_as_a_restart(line: Line) -> None:
    tag = f"status{line.now()}"
    line.write_events(events(line, f"{tag}-first", 20))

    def at_rest() -> bool:
        told = gather(line.layout)
        return told.lag.keys() >= CONSUMERS - {"learner"} and told.lag["loader"] == 0

    line.wait(at_rest, "a loader with nothing to do")
    before = gather(line.layout)
    assert before.processes["loader"].state == "RUNNING"
    assert before.processes["loader"].since
    assert {part.state for part in before.jobs.values()} == {"RUNNING"}
    line.supervisor.stop_program("loader")
    try:
        line.write_events(events(line, tag, 200))
        line.wait(lambda: gather(line.layout).lag["loader"] > 0, "records that wait for the loader")
        assert gather(line.layout).processes["loader"].state == "STOPPED"
    finally:
        line.supervisor.start_program("loader")
    line.wait(at_rest, "the loader at rest again")
    after = gather(line.layout).processes["loader"]
    assert after.restarts == before.processes["loader"].restarts + 1
    assert after.since > before.processes["loader"].since


def test_dead_letters_groups_and_the_model_are_told(line: Line) -> None:
    tag = f"dead{line.now()}"

    def dead(told: Status) -> int:
        return told.dead.get("events depth", 0)

    before = dead(gather(line.layout))
    deep = b'{"user_id":"u","debug":' + b"[" * 1000 + b"]" * 1000 + b"}"
    line.write("events", [(tag, deep)])
    line.wait(lambda: dead(gather(line.layout)) == before + 1, "the dead letter by its reason")
    line.write_events(events(line, tag, 1))

    def ages() -> dict[str, int]:
        """A slate for the user has serving read their groups."""
        with line.client() as api:
            api.recommend(RecommendationRequest(user_id=f"{tag}-u0", count=1))
        return gather(line.layout).groups_s

    line.wait(lambda: "user_recent" in ages(), "the age of a group that was read")
    told = gather(line.layout)
    assert 0 <= told.groups_s["user_recent"] < 120
    assert told.stalled == []
    assert told.model["version"].startswith("none yet") or told.model["versions refused"]


def test_a_store_that_hangs_is_named_instead_of_waited_for(line: Line) -> None:
    _, redis = line.supervisor.programs()["redis"]
    os.kill(redis, signal.SIGSTOP)
    try:
        told = gather(line.layout)
    finally:
        os.kill(redis, signal.SIGCONT)
    assert "Redis does not answer" in told.stalled
    assert told.lag == {}
    assert told.processes["redis"].state == "RUNNING"
