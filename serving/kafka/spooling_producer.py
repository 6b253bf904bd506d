"""What a worker writes: to Kafka, or to the spool while Kafka is away (docs/adr/0026)."""

import threading
import time
from collections.abc import Callable, Sequence

from confluent_kafka import KafkaError, Message

from headrace.connections.kafka_clients import Settings
from headrace.serving.kafka.detour import Detour
from headrace.serving.kafka.producer import DELIVER_MS, REFUSED, Record, RecordProducer
from headrace.serving.kafka.receipt import Receipt
from headrace.serving.kafka.spool_folder import SpoolFolder
from headrace.serving.kafka.spool_writer import SpoolWriter

_ACCEPT_S = 10.0  # a delivery fails after two seconds, and the disk needs milliseconds: longer means that both hang
# A record that waited this long is spooled. What the queue holds is of the last two seconds, and what does not fit is
# spooled too, so it is small.
_SETTINGS: Settings = {
    "message.timeout.ms": DELIVER_MS,
    "queue.buffering.max.messages": 20_000,
    "queue.buffering.max.kbytes": 32 * 1024,
}


class SpoolingProducer:
    """A worker's producer. `count_dropped` is called for each record of `send` that is lost."""

    def __init__(self, bootstrap: str, folder: SpoolFolder, count_dropped: Callable[[], None] = lambda: None) -> None:
        self._producer = RecordProducer(bootstrap, _SETTINGS)
        self._detour = Detour()
        self._writer = SpoolWriter(folder, self._detour)
        self._count_dropped = count_dropped
        self.dropped = 0

    @property
    def queued(self) -> int:
        """Records that are on their way to the broker."""
        return self._producer.queued

    @property
    def spooled(self) -> int:
        """Records of the host that wait on disk."""
        return self._writer.records

    @property
    def fill(self) -> float:
        """Share of the spool that is taken."""
        return self._writer.backlog.fill

    def send(self, record: Record) -> bool:
        """Write a record without waiting. If neither Kafka nor the spool takes it, it is dropped and counted."""
        self._hand_over(record, Receipt(1, self._drop), 0, direct=not self._detour.taken)
        return True

    def accept(self, records: Sequence[Record]) -> list[int]:
        """Write records and wait until the broker or the disk has them; returns the indexes of those that neither has.

        These may still be written: they must be such that writing them twice does no harm.
        """
        receipt = Receipt(len(records))
        direct = not self._detour.taken and self._producer.confirming.acquire(blocking=False)
        try:
            for index, record in enumerate(records):
                self._hand_over(record, receipt, index, direct=direct)
            return receipt.wait(_ACCEPT_S)
        finally:
            if direct:
                self._producer.confirming.release()

    def confirm(self, records: Sequence[Record]) -> bool:
        """Whether the broker has the records; they are never spooled. See `RecordProducer.confirm`."""
        return self._producer.confirm(records)

    def run(self, stop: threading.Event) -> None:
        """Write until `stop` is set; what the broker has not taken by then is spooled."""
        written = threading.Event()
        writer = threading.Thread(target=self._writer.run, args=(written,), name="spool")
        writer.start()
        try:
            self._producer.run(stop)
        finally:
            written.set()
            writer.join()

    def _hand_over(self, record: Record, receipt: Receipt, index: int, *, direct: bool) -> None:
        if not direct:
            self._writer.put(record, receipt, index)
            return

        def delivered(error: KafkaError | None, _: Message) -> None:
            self._settle(record, receipt, index, error)

        if error := self._producer.put(record, delivered):
            self._settle(record, receipt, index, error)

    def _settle(self, record: Record, receipt: Receipt, index: int, error: KafkaError | None) -> None:
        if error is None:
            receipt.keep(index)
        elif error.code() in REFUSED:
            receipt.refuse(index)
        else:
            self._writer.put(record, receipt, index)
            self._detour.take(time.time_ns())

    def _drop(self) -> None:
        self.dropped += 1
        self._count_dropped()
