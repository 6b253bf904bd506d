"""Versions to Kafka: one transaction each; a newer learner of the same model fences an older one."""

import time

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from learner.ledger import Ledger
from learner.loop import Publication
from schemas.delta import DeltaError, Manifest, manifest_hash, seal
from schemas.topics import MODEL_DELTAS

_PATIENCE_S = 60.0


class Publisher:
    """Sends a model's versions. The transactional id is the model, so two learners cannot interleave."""

    def __init__(self, bootstrap: str, *, model: str, key: bytes) -> None:
        self._model = model
        self._key = key
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "transactional.id": f"learner-{model}",
                "transaction.timeout.ms": 60_000,
                "compression.type": "none",  # chunks are packed already
                "message.max.bytes": 1_000_000,
            }
        )
        self._begin_session()

    def send(self, publication: Publication) -> None:
        """Publish a version; when this returns the transaction has committed.

        Raises:
            KafkaException: the broker refused; a fenced learner must stop.
        """
        manifest = msgspec.structs.replace(publication.manifest, created_at=time.time_ns() // 1_000_000)
        message, _ = seal(manifest, key=self._key)
        self._producer.begin_transaction()
        try:
            for value in (*publication.chunks, message):
                self._producer.produce(MODEL_DELTAS.name, key=self._model.encode(), value=value, partition=0)
                self._producer.poll(0)
            self._producer.commit_transaction(_PATIENCE_S)
        except KafkaException as error:
            if not error.args[0].fatal():  # a fenced producer cannot even abort
                self._producer.abort_transaction(_PATIENCE_S)
            raise

    def _begin_session(self) -> None:
        """Wait for the broker as long as it takes: it may start after the learner."""
        while True:
            try:
                self._producer.init_transactions(_PATIENCE_S)
            except KafkaException as error:
                if not error.args[0].retriable():
                    raise
            else:
                return


def read_ledger(bootstrap: str, model: str) -> Ledger:
    """The versions that `model.deltas` holds now, read to its end.

    Raises:
        KafkaException: the topic cannot be read.
    """
    ledger = Ledger(model)
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": f"learner-{model}-ledger",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
        }
    )
    consumer.assign([TopicPartition(MODEL_DELTAS.name, 0, 0)])
    try:
        while True:
            message = consumer.poll(1.0)
            if message is None:
                continue
            error = message.error()
            if error is not None and error.code() == KafkaError._PARTITION_EOF:
                return ledger
            if error is not None and error.fatal():
                raise KafkaException(error)
            if error is not None:
                continue  # the broker or the topic is not there yet: librdkafka keeps trying
            _note(ledger, message.value() or b"")
    finally:
        consumer.close()


def _note(ledger: Ledger, value: bytes) -> None:
    if not value.startswith(b"{"):
        return
    try:
        ledger.note(msgspec.json.decode(value, type=Manifest), manifest_hash(value))
    except (msgspec.DecodeError, DeltaError):
        return  # not a manifest: readers refuse it too
