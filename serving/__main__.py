"""`python -m serving`: the recommendation API, one process."""

import asyncio
import signal
import sys
import threading

from granian.constants import Interfaces
from granian.server.embed import Server

from serving import app, services, settings
from serving.settings import Settings

_SWITCH_S = 0.001  # a request waits at most so long for a background thread to let go of the interpreter; default 0.005


async def serve(told: Settings) -> None:
    """Serve until SIGTERM or SIGINT, then let the queue run out."""
    parts, stop = services.build(told), threading.Event()
    threads = services.start(told, parts, stop)
    server = Server(
        app.create(parts, told.token, told.config.origins), told.host, told.port, interface=Interfaces.ASGINL
    )
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, server.stop)
    try:
        await server.serve()
    finally:
        stop.set()
        for thread in threads:
            thread.join(timeout=5)


def main() -> None:
    """Run the API."""
    sys.setswitchinterval(_SWITCH_S)
    app.widen()
    asyncio.run(serve(settings.from_environment()))


if __name__ == "__main__":
    main()
