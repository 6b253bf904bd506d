"""An environment `staging` on a Kafka and a Redis with credentials and TLS: each process by its own command."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil

from headrace import project
from headrace.layout import FEATURES, REPOSITORY, Layout
from headrace.stack import flink
from headrace.stack.ports import Ports, choose_ports
from headrace.wait import wait_until
from tests.support import secured

TOKEN, MODEL_KEY, MASK_KEY = "a-token-of-the-test", "model-key-of-the-test", "mask-key-of-the-test"
SECRETS = (secured.PASSWORD, TOKEN, MODEL_KEY, MASK_KEY)
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
        self.artefacts = folder / "artefacts"
        self.api_url = f"http://127.0.0.1:{ports.api}"
        self.hint = f"Look into {self.layout.logs}."
        self._stack = contextlib.ExitStack()

    def headrace(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """A command of the command line, in the project's folder."""
        command = [sys.executable, "-c", "from headrace.cli import main; main()", "--env", "staging", *arguments]
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), **variables}
        return subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False, timeout=120
        )

    def succeed(self, *arguments: str) -> str:
        """What a command that must succeed prints."""
        done = self.headrace(*arguments)
        assert done.returncode == 0, (arguments, done.stdout, done.stderr)
        return done.stdout + done.stderr

    def start(self, name: str, *command: str, **variables: str) -> None:
        """A process of the environment, until the end of the test."""
        log = self._stack.enter_context((self.layout.logs / f"{name}.log").open("wb"))
        environment = {**os.environ, **self.variables(), **variables}
        process = subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=log, stderr=log)
        self._stack.callback(_end, process)

    def start_flink(self) -> None:
        """A session cluster, whose processes have the password in a variable."""
        flink.configure(self.layout, self.ports)
        of_flink = {**flink.environment(self.layout), **BY_VARIABLE}
        self.start("jobmanager", *flink.jobmanager_command(), **of_flink)
        self.start("taskmanager", *flink.taskmanager_command(), **of_flink)

    def start_learner(self, name: str, *options: str) -> None:
        """A learner, as a Deployment starts it."""
        artefacts = ("--artefacts", str(self.artefacts))
        self.start(name, sys.executable, "-m", "headrace.learner", *artefacts, *options)

    def start_serving(self) -> None:
        """The loader, the feeder and the API; returns when the API is ready."""
        python, shared = (sys.executable, "-m"), self.folder / "shared"
        host = ["--artefacts", str(self.artefacts), "--shared", str(shared), "--features", str(FEATURES)]
        host += ["--spool", str(self.folder / "spool")]
        self.start("loader", *python, "headrace.store.loader")
        self.start("feeder", *python, "headrace.serving.feeder", *host)
        self.start("serving", *python, "headrace.serving", *host, "--port", str(self.ports.api), "--workers", "1")
        ready = f"{self.api_url}/health/ready"
        wait_until(lambda: httpx.get(ready).is_success, what="the API", deadline_s=120, hint=self.hint)

    def variables(self) -> dict[str, str]:
        """The settings as an orchestrator gives them to a container."""
        return project.settings(self.folder / "headrace.toml", "staging")

    def wait_until_connected(self, count: int) -> None:
        """Wait until `headrace connect` reaches that many of Kafka, Redis, Flink and the API."""

        def answers() -> bool:
            return self.headrace("connect").stdout.count("✓") == count

        wait_until(answers, what=f"{count} connections", deadline_s=120, hint=self.hint)

    def secrets_in_processes_and_logs(self) -> list[str]:
        """Where a part of a secret is seen: the beginning of a command line of this machine, or of a log."""
        seen = [" ".join(each.info["cmdline"] or ()) for each in psutil.process_iter(["cmdline"])]
        seen += [path.read_text(errors="replace") for path in self.folder.rglob("logs/*") if path.is_file()]
        return with_secrets(seen)

    def close(self) -> None:
        """End all processes."""
        self._stack.close()


def with_secrets(texts: list[str]) -> list[str]:
    """The beginnings of those texts that hold a part of a secret."""
    parts = [part for secret in SECRETS for part in secret.split("'")]  # SQL doubles an apostrophe
    return [text[:200] for text in texts for part in parts if len(part) > 2 and part in text]


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Staging]:
    """The environment's project, its Kafka and its Redis; no process of Headrace yet."""
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
        yield made


def _end(process: subprocess.Popen[bytes]) -> None:
    children = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    process.terminate()
    process.wait(60)
    for child in children:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()
