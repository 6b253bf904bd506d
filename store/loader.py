# pyright: reportUnknownMemberType=false
"""The loader: feature topics → Redis. At least once and idempotent, so Redis can be lost and filled again.

Poll a batch, keep the last record of each key, write it in one round trip, then commit the offsets. Records that
were written but not committed are written again, to the same values.

A record that cannot be stored is set aside (`store/kafka/quarantine.py`); an older record of its key in the batch is
written instead.

Offsets belong to a store, not to the loader: the store holds a mark, and the consumer group is named after it. A store
that was emptied, or came back empty, has no mark. It gets a new one, and everything is loaded from the beginning.
"""

import argparse
import signal
import sys
import uuid
from collections.abc import Callable, Sequence
from typing import TypeAlias, cast

from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, Consumer, KafkaError, KafkaException, Message

from headrace.connections.kafka_clients import consumer
from headrace.connections.options import add_kafka_option, add_redis_option
from headrace.connections.redis_clients import Client, StoreError, connect
from headrace.connections.trial import exit_if_refused
from headrace.lang.plan.plan import Group
from headrace.schemas.breaker import BrokenProgram
from headrace.schemas.dead_letter import reason_of
from headrace.schemas.redis_keys import MARK
from headrace.schemas.times import now_ms
from headrace.store.kafka.decision_reader import DecisionReader
from headrace.store.kafka.quarantine import KafkaSend, Quarantine
from headrace.store.redis.clock import LogClock
from headrace.store.redis.decode import Refused, SequenceDecoder, SequenceWrite, TileDecoder, TileWrite
from headrace.store.redis.writer import Retention, Writer, retention_of
from headrace.store.versions import Versions

BATCH = 5000
_WAIT_S = 0.1  # for topic `control`, while there is nothing to load
GROUP = "loader"
Write: TypeAlias = tuple[Message, Retention, TileWrite | SequenceWrite]
"""A record and the write that it becomes."""


class Loader:
    """Loads the feature topics of some versions of groups into one Redis."""

    def __init__(
        self, *, bootstrap: str, client: Client, group: str = GROUP, quarantine: Quarantine | None = None
    ) -> None:
        self._tiles: dict[str, tuple[Retention, TileDecoder]] = {}
        self._sequences: dict[str, tuple[Retention, SequenceDecoder]] = {}
        self._client = client
        self._writer = Writer(client)
        self._clock = LogClock()
        self.quarantine = quarantine or Quarantine("the loader", KafkaSend(bootstrap))
        self._bootstrap, self._group = bootstrap, group
        self._mark = self._read_mark()
        self._consumer = self._join_group()

    def follow(self, groups: Sequence[Group]) -> None:
        """Load these groups from now on: from their committed offsets; new ones from the beginning of their topics."""
        self._tiles = {g.tile_topic: (retention_of(g), TileDecoder(g)) for g in groups if g.families}
        self._sequences = {g.sequence_topic: (retention_of(g), SequenceDecoder(g)) for g in groups if g.sequences}
        self._consumer.subscribe([*self._tiles, *self._sequences])

    def _join_group(self) -> Consumer:
        """A consumer in the group of this store."""
        settings = {"fetch.wait.max.ms": 50, "topic.metadata.refresh.interval.ms": 5000}
        return consumer(self._bootstrap, f"{self._group}-{self._mark}", settings)

    def _read_mark(self) -> str:
        """The store's mark, set if absent. Several loaders agree on the first one set."""
        self._client.set(MARK, uuid.uuid4().hex, nx=True)
        return cast(bytes, self._client.get(MARK)).decode()

    def _begin_again_if_emptied(self) -> None:
        mark = self._read_mark()
        if mark != self._mark:
            sys.stderr.write("the store was emptied: loading everything again\n")
            self._consumer.close()
            self._mark = mark
            self._consumer = self._join_group()
            self._consumer.subscribe([*self._tiles, *self._sequences])

    def run(self, decisions: DecisionReader, *, until: Callable[[], bool]) -> None:
        """Load every version on topic `control` until `until()` is true.

        Raises:
            StoreError, KafkaException: Redis or Kafka does not answer; nothing is lost.
            BrokenProgram: most records cannot be stored.
        """
        versions = Versions()
        try:
            while not until():
                idle = not (decisions.at_end and versions.applied)
                current = versions.apply_all(decisions.read(_WAIT_S if idle else 0.0))
                if decisions.at_end and (idle or current.groups() != versions.groups()):
                    self.follow(current.groups())
                versions = current
                if decisions.at_end and versions.applied:
                    self.load_batch()
        finally:
            self._consumer.close()

    def close(self) -> None:
        """Leave the topics."""
        self._consumer.close()

    def positions(self) -> dict[tuple[str, int], int]:
        """The next offset of each assigned partition; partitions without a record so far are left out."""
        positions = self._consumer.position(self._consumer.assignment())
        return {(each.topic, each.partition): each.offset for each in positions if each.offset >= 0}

    def load_batch(self, timeout_s: float = 0.05) -> int:
        """Load one batch; returns the number of records. Raises as `run` does."""
        self._begin_again_if_emptied()
        records = [message for message in self._consumer.consume(BATCH, timeout=timeout_s) if not _failed(message)]
        if not records:
            return 0
        self.load(records)
        self._consumer.commit(asynchronous=True)
        return len(records)

    def load(self, records: Sequence[Message]) -> None:
        """Write records of the followed topics. Raises as `run` does."""
        aside: list[tuple[Message, str]] = []
        writes = self._latest(records, aside)
        self._clock.advance(write.as_of for _, _, write in writes)
        self._write(writes, aside)
        self.quarantine.count_handled(len(records) - len(aside))  # first, so that a batch is judged as a whole
        for message, reason in aside:
            self.quarantine.set_aside_message(message, reason)

    def _latest(self, records: Sequence[Message], aside: list[tuple[Message, str]]) -> list[Write]:
        """The write of the last valid record of each key. A tombstone writes nothing, because tiles expire by age."""
        found: dict[tuple[object, ...], Write | None] = {}
        for message in reversed(records):
            key = (message.topic(), message.key() or (message.partition(), message.offset()))
            if key in found:
                continue
            try:
                found[key] = self._decode(message)
            except Refused as refused:
                aside.append((message, str(refused)))
            except Exception as error:  # any fault: set the record aside and continue with the next
                aside.append((message, reason_of(error)))
        return [write for write in reversed(found.values()) if write is not None]

    def _decode(self, message: Message) -> Write | None:
        payload, topic = message.value(), message.topic() or ""
        if payload is None:
            return None
        kind, at_ms = message.timestamp()
        appended_ms = now_ms() if kind == TIMESTAMP_NOT_AVAILABLE else at_ms
        if topic in self._tiles:
            retention, tiles = self._tiles[topic]
            return message, retention, tiles.decode(payload, appended_ms=appended_ms)
        if topic in self._sequences:
            retention, rows = self._sequences[topic]
            return message, retention, rows.decode(payload, appended_ms=appended_ms)
        return None

    def _write(self, writes: Sequence[Write], aside: list[tuple[Message, str]]) -> None:
        """Write them; where that cannot be, halves of them, down to the records that are to blame."""
        if not writes:
            return
        try:
            refused = self._writer.write(
                [(retention, write) for _, retention, write in writes if isinstance(write, TileWrite)],
                [(retention, write) for _, retention, write in writes if isinstance(write, SequenceWrite)],
                clock=self._clock.at_ms,
            )
        except StoreError:
            raise
        except Exception as error:  # any fault: set the failing records aside and write the others
            if len(writes) == 1:
                aside.append((writes[0][0], reason_of(error)))
                return
            middle = len(writes) // 2
            self._write(writes[:middle], aside)
            self._write(writes[middle:], aside)
            return
        for message, _, write in writes:
            if write.key in refused:
                aside.append((message, f"store: {write.key[:200]!a}: {refused[write.key]}"))


def _failed(message: Message) -> bool:
    error = message.error()
    if error is None:
        return False
    if error.code() in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._PARTITION_EOF):
        return True
    raise KafkaException(error)


def command_line() -> argparse.ArgumentParser:
    """The options of `python -m headrace.store.loader`; docs/settings.md lists them."""
    parser = argparse.ArgumentParser(
        prog="headrace.store.loader", description="Write computed features from Kafka to Redis."
    )
    add_kafka_option(parser)
    add_redis_option(parser)
    return parser


def main() -> None:
    """`python -m headrace.store.loader`."""
    chosen = command_line().parse_args()
    exit_if_refused(chosen.bootstrap, chosen.redis)
    stop = False

    def on_signal(*_: object) -> None:
        nonlocal stop
        stop = True

    signal.signal(signal.SIGTERM, on_signal)
    client = connect(chosen.redis)
    loader = Loader(bootstrap=chosen.bootstrap, client=client)
    decisions = DecisionReader(chosen.bootstrap, loader.quarantine)
    sys.stderr.write("loading\n")
    try:
        loader.run(decisions, until=lambda: stop)
    except BrokenProgram as error:
        raise SystemExit(str(error)) from error
    finally:
        decisions.close()


if __name__ == "__main__":
    main()
