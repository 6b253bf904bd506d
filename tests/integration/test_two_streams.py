"""A project of another world, two streams and no clickstream: jobs by `flink run -py`, both groups equal the oracle."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from headrace.connections.kafka_clients import producer
from headrace.connections.redis_clients import connect
from headrace.lang.plan.plan import Group
from headrace.lang.planner.load import load_plan
from headrace.layout import REPOSITORY, Endpoints, Layout, Pace
from headrace.schemas.times import now_ms
from headrace.stack import flink, stack
from headrace.stack.flink_rest import FlinkRest
from headrace.store.redis.reader import FeatureReader
from headrace.wait import wait_until
from tests.support.comparison import by_the_oracle, mismatches

pytestmark = [pytest.mark.stack, pytest.mark.timeout(500)]
SOURCE = """SOURCE {name} (
  topic '{name}', event_time at, lateness '1 hour', future '5 minutes', dedupe id WITHIN '1 day'
) COLUMNS (
  id STRING REQUIRED, at BIGINT REQUIRED, received_at BIGINT, event_type STRING REQUIRED, {columns}
);"""
FILES = {
    "readings.sql": SOURCE.format(name="readings", columns="article_id STRING REQUIRED, minutes DOUBLE"),
    "tickets.sql": SOURCE.format(name="tickets", columns="agent_id STRING REQUIRED, article_id STRING, stars INT"),
    "article_reading.sql": """FEATURE GROUP article_reading (
      version 1, owner 'support', entity article_id, source readings, on_missing zero, description 'Who reads it'
    );
    SELECT
      count(*) FILTER (WHERE event_type = 'opened') OVER 24h AS opened_24h,
      sum(minutes) OVER 7d                                   AS minutes_7d
    FROM readings GROUP BY article_id;""",
    "agent_tickets.sql": """FEATURE GROUP agent_tickets (
      version 1, owner 'support', entity agent_id, source tickets, on_missing zero, description 'What an agent solves'
    );
    SELECT
      count(*) FILTER (WHERE event_type = 'solved') OVER 24h       AS solved_24h,
      avg(stars) FILTER (WHERE event_type = 'solved') OVER 7d      AS stars_7d,
      last_n(article_id, 5) FILTER (WHERE event_type = 'solved') OVER 7d AS articles
    FROM tickets GROUP BY agent_id;""",
}
JOBS = [(job, source) for job in ("ingest", "features") for source in ("readings", "tickets")]


def written(source: str, now: int) -> list[dict[str, object]]:
    """Sixty events of five entities over ten minutes; every tenth is written twice."""
    readings = source == "readings"
    found = [
        {
            "id": f"{source}-{number}",
            "at": now - 600_000 + number * 10_000,
            "received_at": now - 600_000 + number * 10_000,
            "event_type": ("opened", "left", "solved")[number % 3] if readings else ("taken", "solved")[number % 2],
            "article_id": f"article{number % 5}",
        }
        | ({"minutes": number / 4} if readings else {"agent_id": f"agent{number % 5}", "stars": number % 6})
        for number in range(60)
    ]
    return [each for event in found for each in ([event, event] if str(event["id"]).endswith("0") else [event])]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("support")
    (folder / "features" / "sources").mkdir(parents=True)
    (folder / "headrace.toml").write_text("")
    for name, text in FILES.items():
        is_source = text.startswith("SOURCE")
        (folder / "features" / ("sources" if is_source else ".") / name).write_text(text)
    return folder


@pytest.fixture(scope="module")
def endpoints(project: Path) -> Iterator[Endpoints]:
    """Kafka, Flink, Redis and the loader; the jobs are submitted by the test."""
    layout = Layout(project / ".headrace", project=project)
    try:
        started = stack.start_engines(
            layout, say=print, pace=Pace(), make_programs=stack.pipeline_programs, usual_ports=False
        )
        stack.start_programs(layout, "loader")
        yield started
    finally:
        stack.stop(layout)


def submit(endpoints: Endpoints, project: Path, job: str, source: str) -> subprocess.CompletedProcess[str]:
    """The whole command line of docs/connect.md."""
    variables = {**os.environ, **flink.environment(Layout(project / ".headrace", project=project))}
    command = [f"{variables['FLINK_HOME']}/bin/flink", "run", "--detached", "-m", endpoints.flink_address]
    command += ["-py", str(REPOSITORY / "jobs" / f"{job}.py"), "-pyexec", sys.executable, "-pyclientexec"]
    command += [sys.executable, "--bootstrap", endpoints.bootstrap, "--source", source]
    return subprocess.run(command, cwd=project, env=variables, capture_output=True, text=True, check=False, timeout=180)


def write(endpoints: Endpoints, topic: str, events: list[dict[str, object]]) -> None:
    client = producer(endpoints.bootstrap)
    for event in events:
        client.produce(topic, msgspec.json.encode(event), str(event["id"]))
    assert client.flush(30) == 0


def test_both_groups_of_a_two_stream_project_equal_the_oracle(endpoints: Endpoints, project: Path) -> None:
    for job, source in JOBS:
        done = submit(endpoints, project, job, source)
        assert done.returncode == 0, done.stdout + done.stderr
    rest, hint = FlinkRest(endpoints.flink_url), f"Look into {project / '.headrace' / 'logs'}."
    names = {f"{job}-{source}" for job, source in JOBS}
    for name in names:
        wait_until(lambda name=name: rest.is_running(name), what=name, deadline_s=120, hint=hint)
    now, plan = now_ms(), load_plan(project / "features")
    with contextlib.closing(connect(endpoints.redis_url)) as store:
        reader = FeatureReader(store)
        for group in plan.groups:
            events = written(group.source.name, now)
            write(endpoints, group.source.topic, events)
            expected = by_the_oracle(group, once(events), keys(group, events), at_ms=now)
            assert len({str(values) for values in expected.values.values()}) > 1
            wait_until(
                lambda expected=expected: not mismatches(expected, reader), what=group.name, deadline_s=90, hint=hint
            )
    assert {name: status.restarts for name, status in rest.job_statuses()} == dict.fromkeys(names, 0)


def once(events: list[dict[str, object]]) -> list[dict[str, object]]:
    return list({event["id"]: event for event in events}.values())


def keys(group: Group, events: list[dict[str, object]]) -> list[tuple[str, ...]]:
    return sorted({tuple(str(event[column]) for column in group.entity) for event in events})
