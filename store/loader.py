# pyright: reportUnknownMemberType=false
"""The loader: feature topics → Redis. At least once and idempotent, so Redis can be lost and filled again.

Poll a batch, keep the last record of each key, write it in one round trip, then commit the offsets: what
was written and not committed is written again, to the same values.

Offsets belong to a store, not to the loader: the store carries a mark, and the consumer group is named after it. A
store that was emptied or came back empty has no mark; it gets a new one, and with it everything from the beginning.
"""

import argparse
import signal
import sys
import uuid
from collections.abc import Callable, Sequence
from typing import cast

from confluent_kafka import Consumer, KafkaError, KafkaException, Message

from lang.plan import Group
from schemas.topics import CONTROL_TOPIC
from store.connect import ADDRESS, Client, connect
from store.decode import SequenceDecoder, SequenceWrite, TileDecoder, TileWrite
from store.tail import Tail
from store.versions import Versions
from store.writer import Spans, Writer, spans_of

BATCH = 5000
_WAIT_S = 0.1  # for topic `control`, while there is nothing to load
GROUP = "loader"
MARK = "loaded"
"""The key of the mark. On a cluster it lies on one node: another that was lost alone is not noticed."""


class Loader:
    """Feature topics of some versions of groups into one Redis."""

    def __init__(self, *, bootstrap: str, client: Client, group: str = GROUP) -> None:
        self._tiles: dict[str, tuple[Spans, TileDecoder]] = {}
        self._sequences: dict[str, tuple[Spans, SequenceDecoder]] = {}
        self._client = client
        self._writer = Writer(client)
        self._clock = 0
        self._bootstrap, self._group = bootstrap, group
        self._mark = self._read_mark()
        self._consumer = self._joined()

    def follow(self, groups: Sequence[Group]) -> None:
        """Load these from now on, each from where it was left, a new one from the beginning of its topics."""
        self._tiles = {g.tile_topic: (spans_of(g), TileDecoder(g)) for g in groups if g.families}
        self._sequences = {g.sequence_topic: (spans_of(g), SequenceDecoder(g)) for g in groups if g.sequences}
        self._consumer.subscribe([*self._tiles, *self._sequences])

    def _joined(self) -> Consumer:
        """A member of the group that fills this store."""
        return Consumer(
            {
                "bootstrap.servers": self._bootstrap,
                "group.id": f"{self._group}-{self._mark}",
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                "fetch.wait.max.ms": 50,
                "topic.metadata.refresh.interval.ms": 5000,
            }
        )

    def _read_mark(self) -> str:
        """The store's mark; one that has none gets one. Several loaders agree on the first."""
        self._client.set(MARK, uuid.uuid4().hex, nx=True)
        return cast(bytes, self._client.get(MARK)).decode()

    def _begin_again_if_emptied(self) -> None:
        mark = self._read_mark()
        if mark != self._mark:
            sys.stderr.write("the store was emptied: loading everything again\n")
            self._consumer.close()
            self._mark = mark
            self._consumer = self._joined()
            self._consumer.subscribe([*self._tiles, *self._sequences])

    def run(self, registry: Tail, *, until: Callable[[], bool]) -> None:
        """Load every version that topic `control` knows, until told to stop.

        Redis or Kafka being away ends the run with their error; nothing is lost.
        """
        versions = Versions()
        try:
            while not until():
                idle = not (registry.at_end and versions.applied)
                told = versions.after(message.value() for message in registry.read(_WAIT_S if idle else 0.0))
                if registry.at_end and (idle or told.groups() != versions.groups()):
                    self.follow(told.groups())
                versions = told
                if registry.at_end and versions.applied:
                    self.load_batch()
        finally:
            self._consumer.close()

    def close(self) -> None:
        """Leave the topics."""
        self._consumer.close()

    def load_batch(self, timeout_s: float = 0.05) -> int:
        """Load one batch; returns its number of records."""
        self._begin_again_if_emptied()
        records = [message for message in self._consumer.consume(BATCH, timeout=timeout_s) if not _failed(message)]
        if not records:
            return 0
        latest = {(message.topic(), message.key()): message for message in records}
        tiles: list[tuple[Spans, TileWrite]] = []
        sequences: list[tuple[Spans, SequenceWrite]] = []
        for (topic, _), message in latest.items():
            payload = message.value()
            if payload is None or topic is None:
                continue  # a tombstone: age takes the tile out of Redis
            if topic in self._tiles:
                spans, decoder = self._tiles[topic]
                tiles.append((spans, decoder.decode(payload)))
            elif topic in self._sequences:
                spans, rows = self._sequences[topic]
                sequences.append((spans, rows.decode(payload)))
        newest = max((write.as_of for _, write in (*tiles, *sequences)), default=0)
        self._clock = max(self._clock, newest)
        self._writer.write(tiles, sequences, clock=self._clock)
        self._consumer.commit(asynchronous=True)
        return len(records)


def _failed(message: Message) -> bool:
    error = message.error()
    if error is None:
        return False
    if error.code() in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._PARTITION_EOF):
        return True
    raise KafkaException(error)


def main() -> None:
    """`python -m store.loader`."""
    parser = argparse.ArgumentParser(prog="store.loader")
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--redis", required=True, help=ADDRESS)
    chosen = parser.parse_args()
    stop = False

    def on_signal(*_: object) -> None:
        nonlocal stop
        stop = True

    signal.signal(signal.SIGTERM, on_signal)
    client = connect(chosen.redis)
    loader = Loader(bootstrap=chosen.bootstrap, client=client)
    registry = Tail(chosen.bootstrap, CONTROL_TOPIC)
    sys.stderr.write("loading\n")
    try:
        loader.run(registry, until=lambda: stop)
    finally:
        registry.close()


if __name__ == "__main__":
    main()
