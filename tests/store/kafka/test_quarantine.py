"""A record counts as set aside only once the broker has its dead letter."""

import pytest
from confluent_kafka import KafkaException

from headrace.store.kafka import quarantine
from headrace.store.kafka.quarantine import KafkaSend


def test_a_dead_letter_that_the_broker_did_not_accept_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the offset of the record would be committed next, and the record lost."""
    monkeypatch.setattr(quarantine, "_FLUSH_S", 0.2)
    with pytest.raises(KafkaException, match="did not accept events/0/7"):
        KafkaSend("127.0.0.1:1")(b"events/0/7", b"record")
