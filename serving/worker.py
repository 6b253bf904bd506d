"""The application of one worker process, as the HTTP server makes it."""

import asyncio
import os
import signal
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from litestar import Litestar

from models.index.device import index_builder
from serving import app, services, settings
from serving.services import Services
from serving.shared.subscriber import SharedState
from store import record_kernel

_WATCH_S = 0.5


def load() -> None:
    """Load what `create` and the first request need and no process owns."""
    record_kernel.load()


def create() -> Litestar:
    """The application, with the settings of this process's arguments and environment."""
    configured = settings.from_environment()
    app.set_threads()
    states = SharedState(configured.shared, configured.ranker, index_builder(configured.device))
    parts = services.build(configured, states)
    return app.create(parts, configured.token, configured.config.origins, lifespan=[lambda _: running(parts)])


@asynccontextmanager
async def running(parts: Services) -> AsyncIterator[None]:
    """Send records while the application runs, then write what is queued; end if the parent has died."""
    stop = threading.Event()
    sender = threading.Thread(target=parts.producer.run, args=(stop,), name="producer")
    sender.start()
    watch = asyncio.create_task(_end_with_parent(os.getppid()))
    try:
        yield
    finally:
        watch.cancel()
        with suppress(asyncio.CancelledError):
            await watch
        stop.set()
        sender.join()


async def _end_with_parent(parent: int) -> None:
    """A parent that was killed cannot stop its workers, which would keep the port."""
    while os.getppid() == parent:
        await asyncio.sleep(_WATCH_S)
    os.kill(os.getpid(), signal.SIGTERM)
