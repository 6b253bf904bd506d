"""A worker's producer and its API with Kafka away: nobody listens on port 1."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from litestar.testing import TestClient
from msgspec import structs

from headrace.schemas.times import now_ms
from headrace.serving import app, services
from headrace.serving.http import intake
from headrace.serving.kafka.drainer import Drainer
from headrace.serving.kafka.spool_folder import MB, SpoolFolder
from headrace.serving.kafka.spooling_producer import SpoolingProducer
from headrace.serving.worker import running
from headrace.wait import wait_until
from tests.support import serving_states as worlds
from tests.support.api import HEADERS, KEYS, problem, settings
from tests.support.spool import FakeLog, click, exposure, folder_of, names_of, view, write, writer_of

NOBODY = "127.0.0.1:1"


@contextmanager
def started(producer: SpoolingProducer) -> Iterator[SpoolingProducer]:
    stop = threading.Event()
    thread = threading.Thread(target=producer.run, args=(stop,))
    thread.start()
    try:
        yield producer
    finally:
        stop.set()
        thread.join()


def drained(folder: SpoolFolder) -> list[str]:
    log, stop = FakeLog(), threading.Event()
    while Drainer(folder, log).turn(stop):
        pass
    return names_of(log.written)


def fill_with_views(folder: SpoolFolder) -> None:
    """Write views until there is no room for more."""
    writer = writer_of(folder)
    while write(writer, [view("v", size=MB - 100)]):
        pass


def test_what_kafka_does_not_take_is_on_disk_when_the_request_is_answered(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    with started(SpoolingProducer(NOBODY, folder)) as producer:
        assert producer.accept([click("c1"), view("v1")]) == []
        assert producer.accept([click("c2")]) == []
        assert folder.holds_records()
        producer.send(exposure("x1"))
        assert not producer.confirm([click("item")]), "what must be on the broker is not spooled"
    assert drained(folder) == ["c1", "c2", "x1", "v1"]
    assert producer.dropped == 0


def test_what_is_queued_when_a_worker_ends_is_spooled(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    with started(SpoolingProducer(NOBODY, folder)) as producer:
        producer.send(exposure("x1"))
    assert drained(folder) == ["x1"]


def test_a_full_spool_refuses_views_first_and_counts_lost_exposures(tmp_path: Path) -> None:
    folder, lost = folder_of(tmp_path / "spool"), []
    fill_with_views(folder)
    with started(SpoolingProducer(NOBODY, folder, lambda: lost.append(1))) as producer:
        assert producer.accept([view("v1"), click("c1"), view("v2")]) == [0, 2]
        assert producer.accept([click("c2")]) == []
        folder.path.rename(tmp_path / "gone")  # a disk that fails refuses all, as a full one does
        wait_until(lambda: producer.accept([click("c3")]) == [0], what="refusals", deadline_s=20, hint="")
        producer.send(exposure("x"))
        wait_until(lambda: len(lost) == 1, what="a lost exposure", deadline_s=20, hint="")
        assert producer.dropped == 1


@pytest.fixture
def parts(tmp_path: Path) -> services.Services:
    small = structs.replace(settings(tmp_path), spool_mb=64)
    return services.build(small, worlds.live(count=400, categories=8))


@pytest.fixture
def api(parts: services.Services) -> Iterator[TestClient]:
    with TestClient(app.create(parts, KEYS, lifespan=[lambda _: running(parts)])) as api:
        yield api


def event(name: str, kind: str) -> dict[str, object]:
    return {"event_id": name, "user_id": "u", "event_type": kind, "occurred_at": now_ms()}


def test_events_and_exposures_are_accepted_and_items_are_not(api: TestClient, tmp_path: Path) -> None:
    body = {"events": [event("e1", "click"), event("e2", "view"), {}]}
    answer = api.post("/v1/events", json=body, headers=HEADERS)
    assert (answer.status_code, answer.json()["accepted"]) == (202, 2)
    assert [each["code"] for each in answer.json()["rejected"]] == ["missing"]
    slate = api.post("/v1/recommendations", json={"user_id": "u"}, headers=HEADERS).json()
    wait_until(lambda: api.get("/health/ready").json()["spooled"] >= 2, what="spooled", deadline_s=20, hint="")
    item = {"item_id": "i1", "category": "c1", "takedown": True}
    assert problem(api.post("/v1/items:batchUpsert", json={"items": [item]}, headers=HEADERS)).status == 503
    assert api.get("/health/ready").json()["ready"]
    log = FakeLog()
    drainer = Drainer(folder_of(tmp_path / "spool"), log)
    wait_until(lambda: not drainer.turn(threading.Event()) and len(log.written) == 3, what="it", deadline_s=20, hint="")
    assert [record.key for record in log.written] == ["u", slate["request_id"], "u"]
    assert json.loads(log.written[0].value or b"")["received_at"] <= now_ms()


def test_a_client_is_told_what_to_send_again_and_when(api: TestClient, tmp_path: Path) -> None:
    fill_with_views(folder_of(tmp_path / "spool"))
    mixed = api.post("/v1/events", json={"events": [event("v", "view"), event("c", "click"), {}]}, headers=HEADERS)
    assert (mixed.status_code, mixed.json()["accepted"]) == (202, 1)
    assert [(each["index"], each["code"]) for each in mixed.json()["rejected"]] == [(0, intake.BUSY), (2, "missing")]
    assert "send this event again" in mixed.json()["rejected"][0]["detail"]
    views = api.post("/v1/events", json={"events": [event("v", "view")]}, headers=HEADERS)
    assert problem(views).status == 503
    assert int(views.headers["retry-after"]) >= int(mixed.headers["retry-after"]) >= 2
