"""Methods of every path: HEAD as GET without its body, OPTIONS with those it has, and what a browser asks first."""

import re
from collections.abc import Iterator
from contextlib import ExitStack

import msgspec
import pytest
from litestar import Litestar
from litestar.testing import TestClient

from headrace.serving import app
from headrace.serving.services import Services
from tests.support.api import HEADERS, KEYS, problem
from tests.support.paths import TESTS

SCHEMA = msgspec.json.decode((TESTS / "serving" / "openapi.json").read_bytes())["paths"]
PATHS = {re.sub(r"\{[^}]+\}", "x", path): {method.upper() for method in methods} for path, methods in SCHEMA.items()}
PAGE, OTHER = "https://shop.example", "https://shop.example.evil"
ASKED_HEADERS = "authorization,content-type,x-deadline-ms,x-request-id,x-traffic-class"
UNREAD = ("date", "x-request-id", "server-timing", "content-length")  # of two answers, these may differ


@pytest.fixture(scope="module")
def pages(parts: Services) -> Iterator[TestClient[Litestar]]:
    """The API, which pages of one origin may call."""
    with TestClient(app.create(parts, KEYS, [PAGE])) as pages:
        yield pages


def preflight(api: TestClient[Litestar], path: str, method: str, origin: str = PAGE):
    asked = {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": ASKED_HEADERS}
    return api.options(path, headers={"Origin": origin, **asked})


@pytest.mark.parametrize("path", PATHS)
def test_head_is_get_without_its_body(pages: TestClient[Litestar], path: str) -> None:
    get, head = (pages.request(method, path, headers=HEADERS) for method in ("GET", "HEAD"))
    assert (head.status_code, head.content) == (get.status_code, b"")
    assert (head.status_code == 405) == ("GET" not in PATHS[path])
    assert {n: v for n, v in head.headers.items() if n not in UNREAD} == {
        n: v for n, v in get.headers.items() if n not in UNREAD
    }


@pytest.mark.parametrize("path", PATHS)
def test_allow_lists_the_methods_of_a_path(pages: TestClient[Litestar], path: str) -> None:
    methods = PATHS[path] | {"OPTIONS"} | ({"HEAD"} if "GET" in PATHS[path] else set())
    options, refused = pages.options(path), pages.request("PATCH", path, headers=HEADERS)
    assert (options.status_code, options.content) == (204, b"")
    assert problem(refused).status == 405
    for response in (options, refused):
        assert set(response.headers["allow"].split(", ")) == methods


@pytest.mark.parametrize(("path", "method"), [(path, method) for path, has in PATHS.items() for method in has])
def test_a_page_of_an_allowed_origin_may_call_and_read(pages: TestClient[Litestar], path: str, method: str) -> None:
    allowed = preflight(pages, path, method)
    assert (allowed.status_code, allowed.content) == (204, b"")
    assert allowed.headers["access-control-allow-origin"] == PAGE
    assert {method, "HEAD"} <= set(allowed.headers["access-control-allow-methods"].split(", "))
    assert set(ASKED_HEADERS.split(",")) <= set(allowed.headers["access-control-allow-headers"].lower().split(", "))
    refused = preflight(pages, path, method, OTHER)
    assert refused.status_code == 400
    assert "access-control-allow-origin" not in refused.headers
    for headers in (HEADERS, {}):  # an error, too, must be readable
        answer = pages.request(method, path, headers={**headers, "Origin": PAGE}, content=b"{")
        assert answer.headers["access-control-allow-origin"] == PAGE
        assert "origin" in answer.headers["vary"].lower()
        assert "x-degraded-level" in answer.headers["access-control-expose-headers"].lower()
        other = pages.request(method, path, headers={**headers, "Origin": OTHER}, content=b"{")
        assert "access-control-allow-origin" not in other.headers


@pytest.mark.parametrize("path", ["/v1/recommendations", "/v1/models"])
def test_a_page_can_read_the_refusal_of_a_busy_worker(pages: TestClient[Litestar], parts: Services, path: str) -> None:
    (method,) = PATHS[path]
    with ExitStack() as held:
        while parts.admission.admits():
            held.enter_context(parts.admission.admit(share=1, within_ms=500))
        assert preflight(pages, path, method).status_code == 204
        refused = pages.request(method, path, headers={**HEADERS, "Origin": PAGE})
        other = pages.request(method, path, headers={**HEADERS, "Origin": OTHER})
        head = pages.head(path, headers=HEADERS)
    assert problem(refused).status == problem(other).status == 503
    assert refused.headers["access-control-allow-origin"] == PAGE
    assert "retry-after" in refused.headers["access-control-expose-headers"].lower()
    assert "access-control-allow-origin" not in other.headers
    assert head.content == b""
