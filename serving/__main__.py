"""`python -m serving`: the recommendation API, one process."""

import asyncio
import signal
import sys
import threading

from granian.constants import Interfaces
from granian.server.embed import Server

from serving import app, services, settings
from serving.settings import Settings

_SWITCH_S = 0.001  # how long a request waits for a background thread to release the interpreter; default 0.005


async def serve(configured: Settings) -> None:
    """Serve until SIGTERM or SIGINT, then write what is queued."""
    parts, stop = services.build(configured), threading.Event()
    threads = services.start(configured, parts, stop)
    server = Server(
        app.create(parts, configured.token, configured.config.origins),
        configured.host,
        configured.port,
        interface=Interfaces.ASGINL,
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
    app.set_threads()
    asyncio.run(serve(settings.from_environment()))


if __name__ == "__main__":
    main()
