"""A record is set aside only when the broker has its letter."""

import pytest
from confluent_kafka import KafkaException

from store import quarantine
from store.quarantine import KafkaSend


def test_a_letter_that_the_broker_does_not_have_is_no_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was set aside would be committed next, and be nowhere."""
    monkeypatch.setattr(quarantine, "_FLUSH_S", 0.2)
    with pytest.raises(KafkaException, match="did not take events/0/7"):
        KafkaSend("127.0.0.1:1")(b"events/0/7", b"letter")
