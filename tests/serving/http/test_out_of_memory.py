"""A worker without memory says that it is not available; its client may ask another one."""

import pytest
from litestar import get
from litestar.testing import create_test_client

from headrace.serving.http.problems import respond


@get("/no_threads")
async def no_threads() -> None:
    message = "can't start new thread"
    try:
        raise RuntimeError(message)
    except RuntimeError as error:
        raise ValueError from error


@get("/no_memory")
async def no_memory() -> None:
    raise MemoryError


@pytest.mark.parametrize("path", ["/no_memory", "/no_threads"])
def test_what_fails_for_lack_of_memory_is_503(path: str) -> None:
    with create_test_client([no_memory, no_threads], exception_handlers={Exception: respond}) as client:
        answer = client.get(path)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
    assert "no memory left" in answer.json()["detail"]
