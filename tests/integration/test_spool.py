"""Kafka goes away under load and comes back: everything that was accepted is on the log, and counts once."""

import contextlib
import itertools
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.layout import Endpoints
from headrace.serving.kafka.delivery import KafkaDelivery
from headrace.serving.kafka.drainer import Drainer
from headrace.serving.kafka.spool_folder import SpoolFolder
from headrace.serving.kafka.spooling_producer import SpoolingProducer
from headrace.stack import broker
from headrace.store.kafka.log import read_values
from headrace.wait import wait_until
from tests.support import fault_proxy
from tests.support.fault_proxy import FaultProxy, Mode
from tests.support.spool import click, exposure, folder_of, view

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]
_AWAY_RECORDS: dict[Mode, int] = {"refuse": 600, "reset": 600, "black hole": 600, "slow": 60}
"""How many a worker writes meanwhile."""


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Endpoints, FaultProxy]]:
    """A broker that clients reach through a proxy."""
    with contextlib.ExitStack() as stack:
        proxies: list[FaultProxy] = []

        def advertise(port: int) -> int:
            proxies.append(stack.enter_context(fault_proxy.running(port)))
            return proxies[0].port

        home = tmp_path_factory.mktemp("broker") / "home"
        endpoints = stack.enter_context(broker.running(home, advertise=advertise))
        yield endpoints, proxies[0]


class Worker:
    """A worker that writes clicks, views and exposures one after the other, as fast as they are accepted."""

    def __init__(self, bootstrap: str, folder: SpoolFolder, name: str) -> None:
        self.producer = SpoolingProducer(bootstrap, SpoolFolder(folder.path, most_bytes=folder.most_bytes))
        self.accepted: list[str] = []
        self.refused = 0
        self._name = name

    def write(self, stop: threading.Event) -> None:
        for number in itertools.count():
            if stop.is_set():
                return
            names = [f"{self._name}-{kind}-{number}" for kind in ("click", "view", "exposure")]
            refused = self.producer.accept([click(names[0]), view(names[1])])
            self.producer.send(exposure(names[2]))
            self.refused += len(refused)
            self.accepted += names if not refused else []


@contextlib.contextmanager
def host(endpoints: Endpoints, port: int, path: Path) -> Iterator[list[Worker]]:
    """Two workers under load, and a drainer."""
    bootstrap, folder, stop = f"127.0.0.1:{port}", folder_of(path), threading.Event()
    workers = [Worker(bootstrap, folder, f"{path.name}-w{number}") for number in range(2)]
    drainer = Drainer(folder, KafkaDelivery(bootstrap))
    writing = threading.Event()
    load = [threading.Thread(target=worker.write, args=(writing,)) for worker in workers]
    threads = [threading.Thread(target=worker.producer.run, args=(stop,)) for worker in workers]
    threads.append(threading.Thread(target=drainer.run, args=(stop,)))
    for thread in (*threads, *load):
        thread.start()
    try:
        yield workers
        writing.set()
        for thread in load:
            thread.join()
        wait(
            lambda: not folder.holds_records() and not any(worker.producer.queued for worker in workers),
            "an empty spool",
        )
    finally:
        writing.set()
        stop.set()
        for thread in (*load, *threads):
            thread.join()


def wait(condition, what: str) -> None:
    wait_until(condition, what=what, deadline_s=120, hint="Look at the broker's log.")


def on_the_log(endpoints: Endpoints, tag: str) -> Counter[str]:
    values = [*read_values(endpoints.bootstrap, "events"), *read_values(endpoints.bootstrap, "exposures")]
    return Counter(value.decode() for value in values if value and value.decode().startswith(tag))


@pytest.mark.parametrize("mode", ["refuse", "reset", "black hole", "slow"])
def test_what_was_accepted_is_on_the_log(proxied: tuple[Endpoints, FaultProxy], tmp_path: Path, mode: Mode) -> None:
    endpoints, proxy = proxied
    tag = f"spool-{mode.replace(' ', '-')}"
    with host(endpoints, proxy.port, tmp_path / tag) as workers:
        wait(lambda: all(worker.accepted for worker in workers), "load")
        before = [len(worker.accepted) for worker in workers]
        proxy.set(mode)
        wait(
            lambda: all(
                len(worker.accepted) > count + _AWAY_RECORDS[mode]
                for worker, count in zip(workers, before, strict=True)
            ),
            "records accepted while Kafka is away",
        )
        spooled = max(worker.producer.spooled for worker in workers)
        proxy.set("pass")
        wait(lambda: not any(worker.producer.spooled for worker in workers), "workers that write to Kafka again")
    found = on_the_log(endpoints, tag)
    accepted = [name for worker in workers for name in worker.accepted]
    assert [name for name in accepted if name not in found] == []
    assert [worker.refused for worker in workers] == [0, 0]
    assert spooled > 0 or mode == "slow"
    assert len(found) - len(accepted) <= 6, "nothing was invented but what the last requests wrote"
