"""`python -m serving`: the recommendation API, some worker processes behind one port."""

import resource

from granian import Granian
from granian.constants import Interfaces, Loops
from granian.log import LogLevels

from serving import settings
from serving.telemetry import metrics_folder

_KILL_S = 10
_CONNECTIONS = 10_000  # per worker: beyond it none is accepted, and most connections are idle
_BACKLOG = 1024  # connections that the kernel holds until a worker accepts them
_FILES = 65_536


def main() -> None:
    """Run the API until SIGTERM or SIGINT."""
    configured = settings.from_environment()
    metrics_folder.prepare(configured.shared / "metrics")
    _load()
    _allow_files()
    Granian(
        "serving.worker:create",
        factory=True,
        address=configured.host,
        port=configured.port,
        interface=Interfaces.ASGI,
        loop=Loops.uvloop,
        workers=configured.workers,
        backlog=_BACKLOG,
        backpressure=_CONNECTIONS,
        respawn_failed_workers=True,
        workers_kill_timeout=_KILL_S,
        websockets=False,
        log_level=LogLevels.warning,
    ).serve()


def _allow_files() -> None:
    """Allow as many open files as the system lets this process have: a connection is one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, _FILES) if most != resource.RLIM_INFINITY else _FILES, most))


def _load() -> None:
    """Load the code of the workers before they are forked: they share its memory, and start in a moment."""
    from serving import worker  # not at the top: `prometheus_client` must be loaded after `metrics_folder.prepare`

    worker.load()


if __name__ == "__main__":
    main()
