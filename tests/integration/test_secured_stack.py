"""A stack that `headrace up` did not start: Kafka wants SASL and TLS, Redis a user and TLS, names have a prefix."""

import contextlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import psutil
import pytest

from headrace.client import Client, EventRecord, ItemRecord, RecommendationRequest
from headrace.layout import FEATURES, REPOSITORY, Layout
from headrace.schemas.times import now_ms
from headrace.stack import flink
from headrace.stack.flink_rest import FlinkRest
from headrace.stack.ports import Ports, choose_ports
from headrace.wait import wait_until
from tests.support import secured

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]
TOKEN, MODEL_KEY, MASK_KEY = "a-token-of-the-test", "model-key-of-the-test", "mask-key-of-the-test"
SECRETS = (secured.PASSWORD, TOKEN, MODEL_KEY, MASK_KEY)
JOBS = ("ingest", "features", "samples")
BY_VARIABLE = {"HEADRACE_KAFKA_SASL_PASSWORD": secured.PASSWORD, "HEADRACE_KAFKA_SASL_PASSWORD_FILE": ""}
PROJECT = """\
[environments.staging]
token_file = "secrets/token"
model.key_file = "secrets/model"
mask.key_file = "secrets/mask"
artefacts = "artefacts"
api.url = "http://127.0.0.1:{ports.api}"
flink.url = "http://127.0.0.1:{ports.flink_rest}"
topics = {{prefix = "shop.", partitions = 2}}

[environments.staging.kafka]
bootstrap.servers = "127.0.0.1:{kafka}"
security.protocol = "SASL_SSL"
sasl.mechanism = "SCRAM-SHA-512"
sasl.username = "{secured.USER}"
sasl.password_file = "secrets/password"
ssl.ca.location = "ca.pem"
java.transaction.timeout.ms = 900000

[environments.staging.redis]
url = "rediss://127.0.0.1:{redis}"
username = "{secured.USER}"
password_file = "secrets/password"
tls.ca = "ca.pem"
key_prefix = "shop:"
"""


class Staging:
    """The processes of an environment, each started by its own command."""

    def __init__(self, folder: Path, ports: Ports) -> None:
        self.folder = folder
        self.ports = ports
        self.layout = Layout(folder / "local")
        self._stack = contextlib.ExitStack()

    def headrace(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """A command of the command line, in the project's folder."""
        command = [sys.executable, "-c", "from headrace.cli import main; main()", "--env", "staging", *arguments]
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), **variables}
        return subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False, timeout=120
        )

    def start(self, name: str, *command: str, **variables: str) -> None:
        """A process of the environment, until the end of the test."""
        log = self._stack.enter_context((self.layout.logs / f"{name}.log").open("wb"))
        environment = {**os.environ, **self.variables(), **variables}
        process = subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=log, stderr=log)
        self._stack.callback(_end, process)

    def variables(self) -> dict[str, str]:
        """The settings as an orchestrator gives them to a container."""
        from headrace import project

        return project.settings(self.folder / "headrace.toml", "staging")

    def close(self) -> None:
        """End all processes."""
        self._stack.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    children = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    process.terminate()
    process.wait(60)
    for child in children:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()


@pytest.fixture(scope="module")
def staging(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Staging]:
    folder = tmp_path_factory.mktemp("project")
    certificates, (ports, _) = secured.certificates(folder), choose_ports(usual=False)
    (folder / "secrets").mkdir()
    (folder / "features").symlink_to(FEATURES)
    for name, secret in zip(("password", "token", "model", "mask"), SECRETS, strict=True):
        (folder / "secrets" / name).write_text(secret)
    with (
        secured.broker(folder / "broker", certificates) as kafka,
        secured.redis(folder, certificates) as redis,
        contextlib.closing(Staging(folder, ports)) as made,
    ):
        text = PROJECT.format(ports=ports, kafka=kafka, redis=redis, secured=secured)
        (folder / "headrace.toml").write_text(text)
        made.layout.create()
        flink.configure(made.layout, ports)
        of_flink = {**flink.environment(made.layout), **BY_VARIABLE}
        made.start("jobmanager", *flink.jobmanager_command(), **of_flink)
        made.start("taskmanager", *flink.taskmanager_command(), **of_flink)
        ready = wait_until_connected(made)
        assert ready.count("✓") == 3, ready
        yield made


def wait_until_connected(staging: Staging) -> str:
    """What `headrace connect` says once all but the API answers."""
    seen: list[str] = []

    def answers() -> bool:
        seen.append(staging.headrace("connect").stdout)
        return seen[-1].count("✓") == 3

    wait_until(answers, what="Kafka, Redis and Flink", deadline_s=120, hint=f"Look into {staging.layout.logs}.")
    return seen[-1]


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
        wait_until(
            lambda job=job: rest.is_running(job), what=job, deadline_s=90, hint=f"Look into {staging.layout.logs}."
        )


def test_an_event_becomes_a_feature_and_changes_a_slate(staging: Staging) -> None:
    python, shared = (sys.executable, "-m"), staging.folder / "shared"
    host = ["--artefacts", str(staging.folder / "artefacts"), "--shared", str(shared), "--features", str(FEATURES)]
    host += ["--spool", str(staging.folder / "spool")]
    staging.start("loader", *python, "headrace.store.loader")
    staging.start("learner", *python, "headrace.learner", "--artefacts", str(staging.folder / "artefacts"))
    staging.start("feeder", *python, "headrace.serving.feeder", *host)
    staging.start("serving", *python, "headrace.serving", *host, "--port", str(staging.ports.api), "--workers", "1")
    url = f"http://127.0.0.1:{staging.ports.api}"
    hint = f"Look into {staging.layout.logs}."
    wait_until(lambda: httpx.get(f"{url}/health/ready").is_success, what="the API", deadline_s=120, hint=hint)
    with Client(url, TOKEN, timeout_s=30) as api:
        api.upsert_items([ItemRecord(item_id=f"i{number}", category="news") for number in range(4)])
        click = EventRecord(event_id="e1", user_id="u1", item_id="i1", event_type="click", occurred_at=now_ms())
        assert api.send_events([click]).accepted == 1
        wait_until(
            lambda: _items(api) == {"i0", "i2", "i3"}, what="a slate without the click", deadline_s=90, hint=hint
        )
        wait_until(lambda: _is_counted(api), what="the feature of the click", deadline_s=90, hint=hint)


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
    seen = [" ".join(each.info["cmdline"] or ()) for each in psutil.process_iter(["cmdline"])]
    seen += [path.read_text(errors="replace") for path in staging.layout.logs.iterdir()]
    rest = f"http://127.0.0.1:{staging.ports.flink_rest}"
    for job in httpx.get(f"{rest}/jobs").json()["jobs"]:
        seen += [httpx.get(f"{rest}/jobs/{job['id']}{part}").text for part in ("", "/config", "/plan", "/exceptions")]
    assert len(httpx.get(f"{rest}/jobs").json()["jobs"]) == len(JOBS)
    parts = [part for secret in SECRETS for part in secret.split("'")]  # SQL doubles an apostrophe
    assert not [text[:200] for text in seen for part in parts if len(part) > 2 and part in text]


def test_a_version_is_released_on_it(staging: Staging) -> None:
    """Runs after those that count jobs: one that was cancelled stays in Flink's list."""

    def done(*arguments: str) -> str:
        found = staging.headrace(*arguments)
        assert found.returncode == 0, (arguments, found.stdout, found.stderr)
        return found.stdout + found.stderr

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
