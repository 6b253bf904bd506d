"""`python -m headrace.serving`: the recommendation API, some worker processes behind one port."""

import gc
import resource

from granian import Granian
from granian.constants import Interfaces, Loops
from granian.log import LogLevels

from headrace.serving import settings
from headrace.serving.telemetry import metrics_folder

_KILL_S = 10
_CONNECTIONS, _LEAST_CONNECTIONS = 10_000, 128  # of a worker: beyond it none is accepted, and most are idle
_BACKLOG = 1024  # connections that the kernel holds until a worker accepts them
_OTHER_FILES = 512


def main() -> None:
    """Run the API until SIGTERM or SIGINT."""
    configured = settings.from_environment()
    metrics_folder.prepare(configured.shared / "metrics")
    _load()
    connections = max(min(_CONNECTIONS, _allow_files() - _OTHER_FILES), _LEAST_CONNECTIONS)
    Granian(
        "headrace.serving.worker:create",
        factory=True,
        address=configured.host,
        port=configured.port,
        interface=Interfaces.ASGI,
        loop=Loops.uvloop,
        workers=configured.workers,
        backlog=_BACKLOG,
        backpressure=connections,
        respawn_failed_workers=True,
        workers_kill_timeout=_KILL_S,
        websockets=False,
        log_level=LogLevels.warning,
    ).serve()


def _allow_files() -> int:
    """Raise the number of files that a worker may open, of which a connection is one, as far as the system allows it.

    Returns that number.
    """
    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _CONNECTIONS + _OTHER_FILES if most == resource.RLIM_INFINITY else min(most, _CONNECTIONS + _OTHER_FILES)
    if allowed != resource.RLIM_INFINITY and allowed < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
    return wanted


def _load() -> None:
    """Load the code of the workers before they are forked: they share its memory, and start in a moment.

    The garbage collector of a worker would write to each of these objects, and so make a copy of its own of them.
    """
    from headrace.serving import (
        worker,  # not at the top: `prometheus_client` must be loaded after `metrics_folder.prepare`
    )

    worker.load()
    gc.freeze()


if __name__ == "__main__":
    main()
