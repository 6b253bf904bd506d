"""The ASGI application."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, suppress
from typing import TypeAlias

from litestar import Litestar, Router
from litestar.concurrency import set_asyncio_executor
from litestar.datastructures import State
from litestar.di import Provide
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme

from headrace.lang.plan.plan import Plan
from headrace.schemas.limits import BODY_BYTES
from headrace.serving import routes
from headrace.serving.http.auth import OPEN, guard
from headrace.serving.http.batch_limit import limit_batches
from headrace.serving.http.cors import cors
from headrace.serving.http.keys import Keys
from headrace.serving.http.load_shedding import shed_excess
from headrace.serving.http.openapi import SCHEMA, TypedSchema
from headrace.serving.http.paths import keep_ids_whole
from headrace.serving.http.problems import COUNT, respond
from headrace.serving.http.request_ids import identify
from headrace.serving.http.slow_bodies import limit_wait
from headrace.serving.services import Services

Lifespan: TypeAlias = Callable[[Litestar], AbstractAsyncContextManager[None]]
_THREADS = 32  # concurrent handlers, except for slates; at most 24 wait for the broker, others for the spool


def set_threads() -> None:
    """Set the number of handler threads, by default four more than cores. Call this before the loop runs."""
    set_asyncio_executor(ThreadPoolExecutor(_THREADS, thread_name_prefix="request"))


def _openapi(plan: Plan) -> OpenAPIConfig:
    """The API's schema, in which events have the columns of the plan's source."""
    source = None
    with suppress(KeyError):  # a project without one takes no events
        source = plan.event_source
    return OpenAPIConfig(
        title="Headrace",
        version="1",
        description="Ranked slates, events, items, features and models. Errors are application/problem+json.",
        components=Components(security_schemes={"token": SecurityScheme(type="http", scheme="bearer")}),
        security=[{"token": []}],
        use_handler_docstrings=True,
        render_plugins=[TypedSchema(source)],  # the pages of other plugins load scripts from other servers
        openapi_router=Router(SCHEMA, route_handlers=[], include_in_schema=False, opt={OPEN: True}),
    )


def create(
    services: Services, keys: Keys, origins: Sequence[str] = (), *, lifespan: Sequence[Lifespan] = ()
) -> Litestar:
    """The API over its services. `origins`: whose pages may call it from a browser, with any key."""
    allowed = cors(origins, keys)
    app = Litestar(
        route_handlers=routes.HANDLERS,
        dependencies={"services": Provide(lambda: services, sync_to_thread=False)},
        guards=[guard(keys)],
        lifespan=list(lifespan),
        on_shutdown=[services.disconnect],
        exception_handlers={Exception: respond},
        request_max_body_size=BODY_BYTES,
        openapi_config=_openapi(services.plan),
        state=State({COUNT: services.metrics.count_error}),
        cors_config=allowed,
    )
    handler = limit_batches(limit_wait(app.asgi_handler))
    handler = shed_excess(handler, services.admission, services.metrics.count_error, allowed)
    app.asgi_handler = identify(keep_ids_whole(handler))
    return app
