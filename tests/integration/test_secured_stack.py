"""A stack that `headrace up` did not start: Kafka wants SASL and TLS, Redis a user and TLS, names have a prefix."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pytest

from headrace.client import Client, EventRecord, ItemRecord, RecommendationRequest
from headrace.layout import FEATURES, REPOSITORY
from headrace.schemas.times import now_ms
from headrace.stack import flink
from headrace.stack.flink_rest import FlinkRest
from headrace.wait import wait_until
from tests.support import secured
from tests.support.staging import BY_VARIABLE, SECRETS, TOKEN, Staging, running, with_secrets

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]
JOBS = ("ingest", "features", "samples")


@pytest.fixture(scope="module")
def staging(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Staging]:
    with running(tmp_path_factory.mktemp("project")) as made:
        made.start_flink()
        made.wait_until_connected(3)  # all but the API
        yield made


def test_topics_and_versions_are_made_by_commands(staging: Staging) -> None:
    assert "headrace: shop.events, shop.events.clean, " in staging.headrace("topics", "check").stderr
    applied = staging.headrace("topics", "apply")
    assert "created shop.events\n" in applied.stdout, applied.stderr
    assert "topics are as declared" in staging.headrace("topics", "check").stdout
    exported = msgspec.json.decode(staging.headrace("topics", "export").stdout)
    assert {each["name"]: each["partitions"] for each in exported}["shop.exposures"] == 2
    assert "registered" in staging.headrace("features", "seed").stdout
    assert "versions already" in staging.headrace("features", "seed").stderr
    again = staging.headrace("features", "seed", "--if-none")
    assert (again.returncode, "registered already" in again.stdout) == (0, True)


def test_jobs_are_submitted_by_flink_run(staging: Staging) -> None:
    for job in JOBS:
        command = [f"{flink.environment(staging.layout)['FLINK_HOME']}/bin/flink", "run", "--detached"]
        command += ["-m", f"127.0.0.1:{staging.ports.flink_rest}", "-py", f"jobs/{job}.py"]
        command += ["-pyexec", sys.executable, "-pyclientexec", sys.executable, "--features", str(FEATURES)]
        by = (
            {} if job == "ingest" else BY_VARIABLE
        )  # the other jobs have references to the variable, this one to the file
        environment = {**os.environ, **staging.variables(), **flink.environment(staging.layout), **by}
        done = subprocess.run(
            command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False, timeout=180
        )
        assert done.returncode == 0, done.stdout + done.stderr
    rest = FlinkRest(f"http://127.0.0.1:{staging.ports.flink_rest}")
    for job in JOBS:
        wait_until(lambda job=job: rest.is_running(job), what=job, deadline_s=90, hint=staging.hint)


def test_an_event_becomes_a_feature_and_changes_a_slate(staging: Staging) -> None:
    staging.start_serving()
    staging.start_learner("learner")
    with Client(staging.api_url, TOKEN, timeout_s=30) as api:
        api.upsert_items([ItemRecord(item_id=f"i{number}", category="news") for number in range(4)])
        click = EventRecord(event_id="e1", user_id="u1", item_id="i1", event_type="click", occurred_at=now_ms())
        assert api.send_events([click]).accepted == 1
        wait_until(
            lambda: _items(api) == {"i0", "i2", "i3"},
            what="a slate without the click",
            deadline_s=90,
            hint=staging.hint,
        )
        wait_until(lambda: _is_counted(api), what="the feature of the click", deadline_s=90, hint=staging.hint)


def _items(api: Client) -> set[str]:
    answer = api.recommend(RecommendationRequest(user_id="u1", session_id="s", count=4))
    return {each.id for each in answer.items}


def _is_counted(api: Client) -> bool:
    values = {each.name: each.value for each in api.read_features("user_engagement", "u1").features}
    return values["clicks_ever"] == 1.0


def test_commands_work_on_it(staging: Staging) -> None:
    assert staging.headrace("connect").stdout.count("✓") == 4
    assert '"item_id": "i1"' in staging.headrace("tail", "shop.events.clean").stdout
    assert "user_engagement" in staging.headrace("features", "list").stdout
    assert "clicks_ever" in staging.headrace("features", "get", "user_engagement", "u1").stdout
    assert staging.headrace("models", "list").returncode == 0
    assert staging.headrace("dead").returncode == 0
    status = staging.headrace("status")
    assert status.returncode == 0
    assert not any(secret in status.stdout + status.stderr for secret in SECRETS)
    for command in (["up"], ["down", "--wipe"], ["keys", "list"]):
        assert "HEADRACE_KAFKA_BOOTSTRAP_SERVERS is" in staging.headrace(*command).stderr
    longer = staging.headrace("connect", HEADRACE_KAFKA_JAVA_TRANSACTION_TIMEOUT_MS="1000000")
    assert "it allows transactions of 900 s, and the jobs ask for 1000 s" in longer.stdout


def test_no_job_was_restarted(staging: Staging) -> None:
    rest = FlinkRest(f"http://127.0.0.1:{staging.ports.flink_rest}")
    assert {name: status.restarts for name, status in rest.job_statuses()} == dict.fromkeys(JOBS, 0)


def test_no_secret_is_seen_in_processes_logs_or_jobs(staging: Staging) -> None:
    assert staging.secrets_in_processes_and_logs() == []
    seen: list[str] = []
    rest = f"http://127.0.0.1:{staging.ports.flink_rest}"
    for job in httpx.get(f"{rest}/jobs").json()["jobs"]:
        seen += [httpx.get(f"{rest}/jobs/{job['id']}{part}").text for part in ("", "/config", "/plan", "/exceptions")]
    assert len(httpx.get(f"{rest}/jobs").json()["jobs"]) == len(JOBS)
    assert with_secrets(seen) == []


def test_a_version_is_released_on_it(staging: Staging) -> None:
    """Runs after those that count jobs: one that was cancelled stays in Flink's list."""

    done = staging.succeed
    edited = staging.folder / "edited"
    shutil.copytree(FEATURES, edited)
    group = edited / "user_engagement.sql"
    group.write_text(group.read_text().replace("version 1", "version 2", 1))
    assert "user_engagement 1 → 2, rebuilt" in done("features", "plan", str(edited))
    assert "runs as job features-user_engagement-v2" in done("features", "apply", "--since", "all")
    done("features", "backfill", "user_engagement@2")
    # the user, and all users together
    assert "2 alike, 0 unlike, 0 missing" in done("features", "diff", "user_engagement@1", "user_engagement@2")
    assert "user_engagement@2 is live" in done("features", "promote", "user_engagement@2")
    assert "user_engagement@1 is live" in done("features", "rollback", "user_engagement")
    done("features", "retire", "user_engagement@2")
    assert "user_engagement@2: " in done("features", "gc")


def test_a_history_comes_in_and_topics_are_copied(staging: Staging) -> None:
    at = now_ms() - 86_400_000
    (staging.folder / "clicks.csv").write_text(f"user_id,item_id,event_type,occurred_at\nu9,i1,click,{at}\n")
    found = staging.headrace("import", "events", "clicks.csv")
    assert "1 rows written to shop.events" in found.stderr, found.stderr
    assert "clicks_ever" in staging.headrace("features", "get", "user_engagement", "u9").stdout
    archived = staging.headrace("topics", "archive", "archive", "shop.items")
    assert "shop.items: 4 records in 1 files" in archived.stdout, archived.stderr
    copied = staging.headrace("replay", "--topic", "shop.items", "--archive", "archive", "--into", "shop.items.again")
    assert "4 records: 4 in partition 0" in copied.stderr, copied.stderr
    assert staging.headrace("dead", "--redrive").returncode == 0


@pytest.mark.parametrize("module", ["headrace.store.loader", "headrace.learner", "headrace.serving.feeder"])
def test_a_process_with_a_wrong_password_says_so_and_ends(staging: Staging, tmp_path: Path, module: str) -> None:
    folders = {"headrace.learner": ("artefacts",), "headrace.serving.feeder": ("artefacts", "shared", "spool")}
    command = [sys.executable, "-m", module]
    for name in folders.get(module, ()):
        command += [f"--{name}", str(tmp_path / name)]
    password = {"HEADRACE_KAFKA_SASL_PASSWORD": "wrong", "HEADRACE_KAFKA_SASL_PASSWORD_FILE": ""}
    environment = {**os.environ, **staging.variables(), **password}
    done = subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1
    assert re.search("Kafka at .* refuses this client: SASL authentication error", done.stderr)
    assert "check HEADRACE_KAFKA_SASL_USERNAME and HEADRACE_KAFKA_SASL_PASSWORD" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("HEADRACE_KAFKA_SASL_PASSWORD", "wrong", "Kafka at .* refuses this client: SASL authentication error"),
        ("HEADRACE_KAFKA_SSL_CA_LOCATION", "{other}", "refuses this client: SSL handshake failed.*SSL_CA_LOCATION"),
        ("HEADRACE_KAFKA_SASL_MECHANISM", "PLAIN", "supported mechanisms: SCRAM-SHA-512"),
        ("HEADRACE_REDIS_PASSWORD", "wrong", "Redis at .* refuses this client: invalid username-password pair"),
        ("HEADRACE_REDIS_TLS_CA", "{other}", "refuses this client: .*CERTIFICATE_VERIFY_FAILED"),
        ("HEADRACE_TOKEN", "wrong-but-long-enough", "the API at .*401.*check HEADRACE_TOKEN"),
    ],
)
def test_a_wrong_secret_is_one_clear_sentence(
    staging: Staging, tmp_path: Path, variable: str, value: str, sentence: str
) -> None:
    value = value.format(other=secured.certificates(tmp_path).authority)
    told = staging.headrace("connect", **{variable: value})
    assert told.returncode == 2
    wrong = [line for line in told.stdout.splitlines() if "✗" in line]
    assert len(wrong) == 1, told.stdout
    assert re.search(sentence, wrong[0])
    assert "Traceback" not in told.stderr
