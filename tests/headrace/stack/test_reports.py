"""What `doctor`, `status` and `up` print for people."""

import json
import re
import socket
from pathlib import Path

import msgspec
import pytest
from msgspec import structs
from rich.console import Console

from headrace import cli
from headrace.lang.planner.load import load_plan
from headrace.layout import FEATURES, STATE_VARIABLE, Layout, Pace
from headrace.schemas.topics import SHADOWS
from headrace.stack import doctor, stack
from headrace.stack.ports import Ports, Secrets, free_port, local_endpoints
from headrace.stack.programs import PURPOSES, purpose_of
from headrace.stack.stack import pipeline_programs
from headrace.stack.status import Part, Status, tables
from headrace.stack.supervisor import Supervisor
from headrace.stack.welcome import addresses, first_requests, state_of, welcome

ENDPOINTS = local_endpoints(Ports(), Secrets(token="t", model_key="k", mask_key="m"), Pace())
SOURCE = load_plan(FEATURES).event_source
EMPTY = Status(
    processes={}, jobs={}, lag={}, dead={}, groups_s={}, model={}, stalled=[], records={}, left_out={}, memory_mb=0.0
)


def printed(status: Status) -> str:
    console = Console(width=200)
    with console.capture() as capture:
        for table in tables(status):
            console.print(table)
    return capture.get()


def test_a_port_of_this_stack_is_not_reported_as_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = Layout(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as own, socket.create_server(("127.0.0.1", 0)) as other:
        ports = {"kafka": own.getsockname()[1], "redis": other.getsockname()[1], "api": free_port(())}
        monkeypatch.setattr(doctor, "USUAL", ports)
        before = doctor.port_finding(layout)
        layout.ports_file.write_bytes(msgspec.json.encode(Ports(kafka=ports["kafka"])))
        monkeypatch.setattr(Supervisor, "is_up", lambda _: True)
        after = doctor.port_finding(layout)
    assert (before.seen, before.fix) == (f"taken: kafka {ports['kafka']}, redis {ports['redis']}", "`up` takes others")
    assert after.seen == f"used by this stack: kafka {ports['kafka']}; taken: redis {ports['redis']}"


def test_every_process_of_a_stack_is_explained(tmp_path: Path) -> None:
    names = {program.name for program in pipeline_programs(Layout(tmp_path), ENDPOINTS)}
    assert set(PURPOSES) == names | {"kafka", "redis", "jobmanager", "taskmanager"}
    assert purpose_of("learner-swift") == "trains model swift, for an arm or as challenger"


def test_a_status_explains_processes_and_topics_and_has_no_empty_table() -> None:
    assert printed(EMPTY) == ""
    reconciler = Part(state="RUNNING", since="2026-01-01 00:00:00", restarts=0)
    text = printed(structs.replace(EMPTY, processes={"reconciler": reconciler}, records={SHADOWS.name: 3}))
    assert re.search(r"reconciler +RUNNING .* submits missing jobs", text)
    assert re.search(rf"shadows +3 +{SHADOWS.written_by} +{SHADOWS.read_by}", text)
    assert "dead letters" not in text


def test_the_first_requests_leave_items_to_show_after_the_click() -> None:
    bodies = re.findall(r"-d '(\{.*)'$", first_requests(ENDPOINTS, SOURCE), re.MULTILINE)
    items, click, slate = (json.loads(body.replace("'$(date +%s)000'", "0")) for body in bodies)
    left = {item["item_id"] for item in items["items"]} - {event["item_id"] for event in click["events"]}
    assert len(left) >= 3
    assert click["events"][0]["user_id"] == slate["user_id"]


def test_only_a_new_stack_is_called_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = Layout(tmp_path)
    assert state_of(layout) == "new"
    new = welcome(ENDPOINTS, layout, before="new")
    assert new == f"{addresses(ENDPOINTS)}\n\n{first_requests(ENDPOINTS, SOURCE)}"
    layout.kafka.mkdir()
    assert state_of(layout) == "kept"
    monkeypatch.setattr(Supervisor, "is_up", lambda _: True)
    assert state_of(layout) == "running"
    for state, says in (("kept", "kept its records"), ("running", "was running already")):
        text = welcome(ENDPOINTS, layout, before=state)
        assert text.startswith(addresses(ENDPOINTS))
        assert says in text
        assert "new stack" not in text
        assert "curl" not in text


def test_an_interrupted_up_says_what_stops_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path))
    monkeypatch.setattr(stack, "up", interrupted)
    with pytest.raises(KeyboardInterrupt):
        cli.up()
    assert "run `headrace down` to stop it" in capsys.readouterr().err
