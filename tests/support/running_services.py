"""The services of a worker with a real store, and librdkafka's mock broker, to which their records are delivered."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from confluent_kafka import Producer

from headrace.serving import services
from headrace.serving.services import Services
from headrace.stack import redis_server
from tests.support import serving_states as worlds
from tests.support.api import settings


@contextmanager
def running_services(folder: Path) -> Iterator[Services]:
    broker = Producer({"bootstrap.servers": "", "test.mock.num.brokers": 1})
    (address,) = broker.list_topics(timeout=10).brokers.values()
    with redis_server.running(folder) as port:
        replaced = msgspec.structs.replace(
            settings(folder), bootstrap=f"{address.host}:{address.port}", redis=f"redis://127.0.0.1:{port}"
        )
        parts = services.build(replaced, worlds.live(count=200, categories=8))
        stop = threading.Event()
        sender = threading.Thread(target=parts.producer.run, args=(stop,))
        sender.start()
        try:
            yield parts
        finally:
            stop.set()
            sender.join()
