"""`python -m serving`: the recommendation API, some worker processes behind one port."""

from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels

from serving import settings
from serving.telemetry import metrics_folder

_KILL_S = 10


def main() -> None:
    """Run the API until SIGTERM or SIGINT."""
    configured = settings.from_environment()
    metrics_folder.prepare(configured.shared / "metrics")
    Granian(
        "serving.worker:create",
        factory=True,
        address=configured.host,
        port=configured.port,
        interface=Interfaces.ASGI,
        workers=configured.workers,
        respawn_failed_workers=True,
        workers_kill_timeout=_KILL_S,
        websockets=False,
        log_level=LogLevels.warning,
    ).serve()


if __name__ == "__main__":
    main()
