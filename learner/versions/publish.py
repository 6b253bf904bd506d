"""Publishes versions to Kafka, one transaction each; a newer learner of the same model fences an older one."""

from collections.abc import Iterable, Sequence
from contextlib import closing

import msgspec
from confluent_kafka import KafkaError, KafkaException

from headrace.connections.kafka_clients import producer
from headrace.learner.versions.cuts import Publication
from headrace.learner.versions.published_versions import PublishedVersions
from headrace.schemas.control import Control
from headrace.schemas.times import now_ms
from headrace.schemas.topics import CONTROL_TOPIC, MODEL_DELTAS, prefixed
from headrace.schemas.versions.delta import is_signed, manifest_hash, manifest_of, seal
from headrace.schemas.versions.heartbeat import Heartbeat, key_of
from headrace.store.kafka.log import LogReader

WHO = "learner"
_PATIENCE_S = 60.0
_POLL_S = 0.2
_FENCED = (KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH)


class Fenced(RuntimeError):
    """Another learner of the same model has taken over."""


class Publisher:
    """Sends a model's versions. The transactional id is the model, so two learners cannot interleave."""

    def __init__(self, bootstrap: str, *, model: str, key: bytes) -> None:
        self._model = model
        self._key = key
        self._producer = producer(
            bootstrap,
            {
                "transactional.id": prefixed(f"learner-{model}"),
                "transaction.timeout.ms": 60_000,
                "compression.type": "none",  # chunks are packed already
                "message.max.bytes": 1_000_000,
            },
        )
        self._begin_session()

    def send(self, publication: Publication, decisions: Sequence[Control] = ()) -> None:
        """Publish a version, and decisions on topic `control`, in one transaction; committed once this returns.

        Raises:
            Fenced: a newer learner of this model has started. KafkaException: the broker refused.
        """
        manifest = msgspec.structs.replace(publication.manifest, created_at=now_ms())
        message, _ = seal(manifest, key=self._key)
        deltas = [(MODEL_DELTAS.name, self._model, value) for value in (*publication.chunks, message)]
        self._commit([*deltas, *map(_control_record, decisions)])

    def send_heartbeat(self, heartbeat: Heartbeat) -> None:
        """Report that there was nothing to learn; raises as `send` does."""
        at = msgspec.structs.replace(heartbeat, at=now_ms())
        self._commit([(MODEL_DELTAS.name, key_of(self._model), at.payload())])

    def send_decision(self, decision: Control) -> None:
        """Write one decision about the model; raises as `send` does."""
        self._commit([_control_record(decision)])

    def _commit(self, records: Iterable[tuple[str, str, bytes]]) -> None:
        """Write (topic, key, value) records in one transaction."""
        try:
            self._producer.begin_transaction()
            for topic, key, value in records:
                self._producer.produce(topic, key=key.encode(), value=value, partition=0)
                self._producer.poll(0)
            self._producer.commit_transaction(_PATIENCE_S)
        except KafkaException as error:
            fault = error.args[0]
            if fault.code() in _FENCED:
                message = f"a newer learner of model {self._model!r} publishes now; this one has written nothing"
                raise Fenced(message) from error
            if not fault.fatal():  # a fenced producer cannot even abort
                self._producer.abort_transaction(_PATIENCE_S)
            raise

    def _begin_session(self) -> None:
        """Wait for the broker without a limit: it may start after the learner."""
        while True:
            try:
                self._producer.init_transactions(_PATIENCE_S)
            except KafkaException as error:
                if not error.args[0].retriable():
                    raise
            else:
                return


def _control_record(decision: Control) -> tuple[str, str, bytes]:
    signed = msgspec.structs.replace(decision, who=WHO, at=now_ms())
    return CONTROL_TOPIC.name, decision.name, signed.payload()


def read_published_versions(bootstrap: str, model: str, *, key: bytes) -> PublishedVersions:
    """Read `model.deltas` to its end and return the versions signed with this key.

    Raises:
        KafkaException: the topic cannot be read.
    """
    published = PublishedVersions(model)
    with closing(LogReader(bootstrap, MODEL_DELTAS.name)) as reader:
        while not reader.at_end:
            for message in reader.read(_POLL_S):
                _add(published, message.value() or b"", key)
    return published


def _add(published: PublishedVersions, value: bytes, key: bytes) -> None:
    """Add a version. Skip what is not a manifest signed with the key: readers reject it too."""
    manifest = manifest_of(value)
    if manifest is not None and is_signed(manifest, digest := manifest_hash(value), key):
        published.add(manifest, digest)
