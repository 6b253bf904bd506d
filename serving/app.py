"""The ASGI application."""

from concurrent.futures import ThreadPoolExecutor

from litestar import Litestar, Router
from litestar.concurrency import set_asyncio_executor
from litestar.di import Provide
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme

from serving import routes
from serving.problems import respond
from serving.services import Services
from serving.token import OPEN, guard

BODY_BYTES = 256 * 1024
_THREADS = 32  # handlers at once; 24 of them at most wait for the broker (serving/outlet.py)
OPENAPI = OpenAPIConfig(
    title="Headrace",
    version="1",
    description="Ranked slates, events, items, features and models. Errors are application/problem+json.",
    components=Components(security_schemes={"token": SecurityScheme(type="http", scheme="bearer")}),
    security=[{"token": []}],
    use_handler_docstrings=True,
    render_plugins=[JsonRenderPlugin()],  # the pages of the other plugins load scripts from elsewhere
    openapi_router=Router("/schema", route_handlers=[], opt={OPEN: True}),
)


def widen() -> None:
    """Give handlers their threads: the default is four more than cores. To be called before the loop runs."""
    set_asyncio_executor(ThreadPoolExecutor(_THREADS, thread_name_prefix="request"))


def create(services: Services, token: str) -> Litestar:
    """The API over its parts."""
    return Litestar(
        route_handlers=routes.HANDLERS,
        dependencies={"services": Provide(lambda: services, sync_to_thread=False)},
        guards=[guard(token)],
        exception_handlers={Exception: respond},
        request_max_body_size=BODY_BYTES,
        openapi_config=OPENAPI,
    )
