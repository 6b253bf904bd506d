"""Clients that send slowly, or not at all, keep nobody from being answered. On the server as it runs in production."""

import contextlib
import resource
import socket
from collections.abc import Iterator

import httpx
import pytest

from headrace.client import Client, EventRecord
from headrace.schemas.http import RecommendationRequest
from headrace.schemas.times import now_ms
from headrace.wait import wait_until
from tests.support import serving_process
from tests.support.api import TOKEN
from tests.support.serving_process import ServingProcess

PATHS = ("/v1/recommendations", "/v1/events")
HEAD = f"POST {PATHS[0]} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: 100\r\n"
IDLE = 3_000  # more than the server's backlog


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServingProcess]:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= most < IDLE + 500:
        pytest.skip(f"{IDLE} connections need more files than the {most} that this machine allows")
    resource.setrlimit(resource.RLIMIT_NOFILE, (IDLE + 500 if most < 0 else most, most))
    with serving_process.running(tmp_path_factory.mktemp("serving")) as running:
        yield running


def connections(port: int, count: int, sent: str) -> contextlib.ExitStack:
    """Open connections and send the same to each."""
    stack = contextlib.ExitStack()
    for _ in range(count):
        connection = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
        connection.sendall(sent.encode())
    return stack


def answers(served: ServingProcess) -> bool:
    with Client(served.url, TOKEN, timeout_s=20) as api:
        event = EventRecord(event_id="e", user_id="u", event_type="view", occurred_at=now_ms())
        assert api.send_events([event]).accepted == 1
        return len(api.recommend(RecommendationRequest(user_id="u")).items) == 10


@pytest.mark.parametrize(
    "sent",
    [
        "GET /health/live HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /hea",
        f"{HEAD}\r\n{{",
        f"{HEAD}\r\n{{".replace(*PATHS),
    ],
    ids=["idle", "half a head", "half a body", "half a batch"],
)
def test_thousands_of_connections_keep_nobody_out(served: ServingProcess, sent: str) -> None:
    with connections(served.port, IDLE, sent):
        assert answers(served)
    assert answers(served)


def test_a_body_that_does_not_arrive_is_refused(served: ServingProcess) -> None:
    with socket.create_connection(("127.0.0.1", served.port), timeout=60) as connection:
        connection.sendall(f"{HEAD}\r\n{{".encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 408 ")


def test_clients_that_leave_before_their_answer_leave_nothing_behind(served: ServingProcess) -> None:
    body = b'{"user_id": "u"}'
    request = HEAD.replace("100", str(len(body))) + "\r\n" + body.decode()
    for _ in range(20):
        connections(served.port, 20, request).close()
    assert answers(served)
    metrics = httpx.get(f"{served.url}/metrics", timeout=30).text
    assert 'status="500"' not in metrics


def test_a_stream_that_is_left_after_its_first_slate_is_logged_once(served: ServingProcess) -> None:
    body = b'{"user_id": "left"}'
    request = HEAD.replace(PATHS[0], f"{PATHS[0]}:stream").replace("100", str(len(body))) + "\r\n" + body.decode()
    with Client(served.url, TOKEN, timeout_s=30) as api:
        before = logged(api)
        for _ in range(10):
            with socket.create_connection(("127.0.0.1", served.port), timeout=30) as connection:
                connection.sendall(request.encode())
                assert b"event: slate" in read_until(connection, b"event: slate")
        wait_until(lambda: logged(api) >= before + 10, what="the exposures", deadline_s=30, hint="")
        assert logged(api) == before + 10
    assert answers(served)


def logged(api: Client) -> int:
    """Records that wait on disk, because Kafka is away; once those of earlier requests are there, too."""
    wait_until(lambda: api.check_ready().queued == 0, what="the queue to be empty", deadline_s=30, hint="")
    return api.check_ready().spooled


def read_until(connection: socket.socket, text: bytes) -> bytes:
    received = b""
    while text not in received and (part := connection.recv(65_536)):
        received += part
    return received
