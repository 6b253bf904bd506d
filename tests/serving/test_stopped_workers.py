"""Workers that are stopped or killed: what they had accepted is kept, and others answer."""

import signal
import socket
from pathlib import Path

import msgspec

from headrace.client import Client, RecommendationRequest
from headrace.schemas.times import now_ms
from headrace.wait import wait_until
from tests.support import serving_process
from tests.support.api import TOKEN


def test_a_request_under_way_is_finished_before_the_server_stops(tmp_path: Path) -> None:
    """Kafka is away, so the first event waits until its delivery has failed, and is then spooled."""
    event = {"event_id": "e", "user_id": "u", "event_type": "click", "occurred_at": now_ms()}
    body = msgspec.json.encode({"events": [event]})
    head = (
        f"POST /v1/events HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with serving_process.running(tmp_path) as served:
        with socket.create_connection(("127.0.0.1", served.port), timeout=60) as connection:
            connection.sendall(head.encode() + body)
            assert serving_process.is_ready(served)  # so the connection before this one was accepted too
            served.process.send_signal(signal.SIGTERM)
            answer = b"".join(iter(lambda: connection.recv(4096), b""))
        assert answer.startswith(b"HTTP/1.1 202 ")
        assert answer.endswith(b'{"accepted":1,"duplicate":0,"rejected":[]}')


def test_a_killed_worker_is_replaced_and_the_other_answers(tmp_path: Path) -> None:
    with serving_process.running(tmp_path, workers=2) as served:
        wait_until(lambda: len(served.workers()) == 2, what="two workers", deadline_s=60, hint="")
        killed, other = served.workers()
        killed.kill()
        with Client(served.url, TOKEN, timeout_s=30) as api:
            for _ in range(50):
                assert len(api.recommend(RecommendationRequest(user_id="u")).items) == 10
        wait_until(lambda: len(served.workers()) == 2, what="a new worker", deadline_s=60, hint="")
        assert other.pid in [each.pid for each in served.workers()]
        assert killed.pid not in [each.pid for each in served.workers()]
