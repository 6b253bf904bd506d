"""`python -m headrace.serving` as it runs in production, over a state that the test publishes; Kafka is away."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
from msgspec import Struct

from headrace.serving.shared.publisher import Publisher
from headrace.serving.state.state import Live
from headrace.stack import redis_server
from headrace.stack.ports import free_port
from headrace.wait import wait_until
from tests.support import serving_states as worlds
from tests.support.api import FEATURES, TOKEN

_UP_S = 120.0


class ServingProcess(Struct):
    """A running server: its port and process, the state that it serves, and the publisher of the next ones."""

    port: int
    process: psutil.Process
    live: Live
    publisher: Publisher

    @property
    def url(self) -> str:
        """The API's address."""
        return f"http://127.0.0.1:{self.port}"

    def workers(self) -> list[psutil.Process]:
        """The workers that run now."""
        return [each for each in self.process.children(recursive=True) if each.status() != psutil.STATUS_ZOMBIE]

    def publish(self) -> None:
        """Write the state of `live`, as a feeder does."""
        self.publisher.publish(self.live.state)
        self.publisher.report(self.live.report)


@contextlib.contextmanager
def running(folder: Path, *, workers: int = 1, items: int = 400) -> Iterator[ServingProcess]:
    """Run a server until the end of the context."""
    live, port = worlds.live(count=items, categories=8), free_port(())
    with redis_server.running(folder) as redis_port:
        publisher = Publisher(folder / "shared")
        command = [sys.executable, "-m", "headrace.serving", "--bootstrap", "127.0.0.1:1", "--features", str(FEATURES)]
        command += ["--redis", f"redis://127.0.0.1:{redis_port}", "--artefacts", str(folder / "artefacts")]
        command += ["--shared", str(folder / "shared"), "--spool", str(folder / "spool")]
        command += ["--port", str(port), "--workers", str(workers)]
        with (folder / "serving.log").open("wb") as log:
            started = subprocess.Popen(command, env={**os.environ, "HEADRACE_TOKEN": TOKEN}, stdout=log, stderr=log)
        served = ServingProcess(port, psutil.Process(started.pid), live, publisher)
        try:
            served.publish()
            wait_until(lambda: is_ready(served), what="the server", deadline_s=_UP_S, hint=f"{folder}/serving.log")
            yield served
        finally:
            started.send_signal(signal.SIGTERM)
            started.wait(30)


def is_ready(served: ServingProcess) -> bool:
    """Whether a worker answers that it is ready."""
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(f"{served.url}/health/ready", timeout=5).is_success
    return False
