"""Kafka goes away from the whole stack: what the API accepts meanwhile counts once, and is learned from as ever."""

import itertools
import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import httpx
import msgspec
import pytest

from headrace.client import Client, EventRecord, ItemRecord, RecommendationAnswer, RecommendationRequest, Refused
from headrace.lang.plan.clean_topic import contract
from headrace.layout import Layout
from headrace.schemas.exposures import EXPOSURE
from headrace.schemas.samples import FIRST, SAMPLE
from headrace.schemas.topics import EVENTS
from headrace.serving.stages.record import TRAINABLE
from headrace.store.kafka.log import read_values
from tests.support.line import Line, running

pytestmark = [pytest.mark.stack, pytest.mark.timeout(1_500)]
_PAUSE_S = 0.1  # of a client between a click and its next slate


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    """A line of its own: users who click everything change what the next tests' versions look like."""
    with running(Layout(tmp_path_factory.mktemp("away") / "stack")) as started:
        yield started


@contextmanager
def stopped(line: Line) -> Iterator[None]:
    """Connections are refused."""
    line.supervisor.stop_program("kafka")
    try:
        yield
    finally:
        line.supervisor.start_program("kafka")


@contextmanager
def frozen(line: Line) -> Iterator[None]:
    """Connections are accepted, and nothing is answered."""
    _, pid = line.supervisor.programs()["kafka"]
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


class Visitor:
    """Asks for slates, and reports a view, a click, a dwell and a purchase on each."""

    def __init__(self, line: Line, tag: str) -> None:
        http = httpx.Client(event_hooks={"response": [self._note]})
        self.api = Client(line.endpoints.api_url, line.endpoints.token, timeout_s=30, retries=0, http=http)
        self._tag = tag
        self._now = line.now
        self.slates: list[str] = []
        self.accepted: list[str] = []
        self.clicked: list[tuple[str, int]] = []
        self.failed: list[str] = []

    def run(self, stop: threading.Event) -> None:
        for number in itertools.count():
            if stop.wait(_PAUSE_S):
                return
            user = f"{self._tag}-{number}"
            request = RecommendationRequest(user_id=user, count=3)
            with suppress(Refused):  # noted
                slate = self.api.recommend(request)
                if slate.items:
                    self.slates.append(slate.request_id)
                    self._report(user, slate)

    def _report(self, user: str, slate: RecommendationAnswer) -> None:
        events = [
            EventRecord(
                event_id=f"{user}-{kind}",
                event_type=kind,
                user_id=user,
                request_id=slate.request_id,
                item_id=slate.items[0].id,
                position=0,
                value=2.0,
                occurred_at=self._now(),
            )
            for kind in ("view", "click", "dwell", "purchase")
        ]
        assert self.api.send_events(events).accepted == len(events)
        self.accepted += [event.event_id for event in events]
        if slate.degraded.level <= TRAINABLE:
            self.clicked.append((slate.request_id, 0))

    def _note(self, response: httpx.Response) -> None:
        if response.is_error and response.headers.get("X-Degraded-Level") != "L6":  # a busy machine, not the outage
            self.failed.append(f"{response.url.path}: {response.status_code} {response.read().decode()}")


@contextmanager
def load(line: Line, tag: str) -> Iterator[list[Visitor]]:
    """Some clients, until the block ends."""
    stop = threading.Event()
    clients = [Visitor(line, f"{tag}-c{number}") for number in range(3)]
    threads = [threading.Thread(target=client.run, args=(stop,)) for client in clients]
    for thread in threads:
        thread.start()
    try:
        yield clients
    finally:
        stop.set()
        for thread, client in zip(threads, clients, strict=True):
            thread.join()
            client.api.close()


def clicks_in_samples(line: Line, wanted: set[tuple[str, int]]) -> dict[tuple[str, int], list[tuple[object, object]]]:
    """What is said of the head `click` of these slots, in order: (kind, label)."""
    said: dict[tuple[str, int], list[tuple[object, object]]] = {}
    for sample in line.read("samples", SAMPLE.decode):
        slot = (str(sample["request_id"]), int(str(sample["position"])))
        if slot in wanted and sample["click"] is not None:
            said.setdefault(slot, []).append((sample["kind"], sample["click"]))
    return said


@pytest.mark.parametrize(
    ("away", "away_s"), [(stopped, 30), (frozen, 30), pytest.param(stopped, 600, marks=pytest.mark.long)]
)
def test_an_outage_loses_nothing_and_labels_as_without_one(own: Line, away, away_s: int) -> None:
    line, tag = own, f"away{own.now()}"
    with load(line, tag) as clients, line.client() as api:
        items = [ItemRecord(item_id=f"{tag}-i{n}", category=f"c{n % 3}") for n in range(30)]
        api.upsert_items(items)
        line.wait(lambda: all(client.clicked for client in clients), "slates and clicks")
        with away(line):
            back_ms = line.now() + away_s * 1000
            line.wait(lambda: api.check_ready().spooled > 0, "records on disk")
            with pytest.raises(Refused, match=r"^503: Kafka did not accept the records"):
                api.upsert_items(items)
            line.wait(lambda: line.now() > back_ms, "the end of the outage", deadline_s=away_s + 30)
            print(f"away for {away_s} s: {api.check_ready()}")
        line.wait(lambda: api.check_ready().spooled == 0, "an empty spool", deadline_s=240)
    assert [failed for client in clients for failed in client.failed] == []
    assert sum(len(client.accepted) for client in clients) > 4 * away_s
    check(line, clients, tag)


def check(line: Line, clients: list[Visitor], tag: str) -> None:
    """Everything accepted is on the log, counts once, and no slate was closed before its click was in."""
    accepted = Counter(name for client in clients for name in client.accepted)
    slates = {name for client in clients for name in client.slates}
    clicked = {slot for client in clients for slot in client.clicked}
    values = read_values(line.endpoints.bootstrap, EVENTS.name)  # other tests wrote what is no JSON
    on_log = (str(msgspec.json.decode(value)["event_id"]) for value in values if tag.encode() in value)
    events = Counter(name for name in on_log if name.startswith(tag))
    assert accepted.keys() - events.keys() == set()
    exposures = Counter(str(each["request_id"]) for each in line.read("exposures", EXPOSURE.decode))
    assert slates - exposures.keys() == set()
    decode = contract(line.plan.source("clickstream")).decode

    def clean() -> Counter[str]:
        return Counter(
            name for row in line.read("events.clean", decode) if (name := str(row["event_id"])).startswith(tag)
        )

    line.wait(lambda: clean().keys() >= accepted.keys(), "every event in events.clean", deadline_s=300)
    assert set(clean().values()) == {1}
    line.wait(lambda: clicks_in_samples(line, clicked).keys() == clicked, "a label of each click", deadline_s=300)
    said = Counter(map(tuple, clicks_in_samples(line, clicked).values()))
    twice = sum(events.values()) - len(events)
    print(f"{len(accepted)} events ({twice} written twice), {len(slates)} slates; labels of clicks: {dict(said)}")
    assert said.keys() == {((FIRST, 1.0),)}
