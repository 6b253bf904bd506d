"""The application of one worker process, as the HTTP server makes it."""

import asyncio
import os
import signal
import sys
import threading
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from litestar import Litestar

from headrace.models.index.device import index_builder
from headrace.serving import app, services, settings
from headrace.serving.http.keys import Keys
from headrace.serving.kafka.spooling_producer import SpoolingProducer
from headrace.serving.services import Services
from headrace.serving.shared.subscriber import SharedState
from headrace.serving.telemetry import metrics_folder
from headrace.serving.warm_up import warm_up
from headrace.store.redis import record_kernel

_WATCH_S = 0.5


def load() -> None:
    """Load what `create` and the first request need and no process owns."""
    record_kernel.load()


def create() -> Litestar:
    """The application, with the settings of this process's arguments and environment."""
    configured = settings.from_environment()
    app.set_threads()
    metrics_folder.forget_dead()
    states = SharedState(configured.shared, configured.ranker, index_builder(configured.device))
    parts = services.build(configured, states)
    parts.warm.clear()
    keys = Keys(configured.fixed_keys, configured.keys, workers=configured.workers)
    return app.create(parts, keys, configured.config.origins, lifespan=[lambda _: running(parts)])


@asynccontextmanager
async def running(parts: Services) -> AsyncIterator[None]:
    """Send records while the application runs, then write or spool what is queued; end if the parent has died."""
    stop = threading.Event()
    sender = threading.Thread(target=_run_or_end, args=(parts.producer, stop), name="producer")
    sender.start()
    tasks = [asyncio.create_task(_end_with_parent(os.getppid())), asyncio.create_task(warm_up(parts))]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        stop.set()
        sender.join()


def _run_or_end(producer: SpoolingProducer, stop: threading.Event) -> None:
    """Without its producer a worker would accept nothing: end, and let another one start."""
    try:
        producer.run(stop)
    except BaseException:
        traceback.print_exc(file=sys.stderr)
        os.kill(os.getpid(), signal.SIGTERM)


async def _end_with_parent(parent: int) -> None:
    """A parent that was killed cannot stop its workers, which would keep the port."""
    while os.getppid() == parent:
        await asyncio.sleep(_WATCH_S)
    os.kill(os.getpid(), signal.SIGTERM)
