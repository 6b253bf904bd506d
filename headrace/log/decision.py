"""Writes decisions to topic `control`, with who and when."""

from msgspec import structs

from headrace.connections.kafka_clients import producer
from headrace.errors import EnvironmentProblem
from headrace.layout import Endpoints
from headrace.schemas.control import Control
from headrace.schemas.times import now_ms
from headrace.schemas.topics import CONTROL_TOPIC

_WHO = "operator"
_FLUSH_S = 20


def decide(endpoints: Endpoints, decision: Control) -> None:
    """Write a decision; `who` defaults to the operator.

    Raises:
        EnvironmentProblem: the broker did not accept it.
    """
    record = structs.replace(decision, who=decision.who or _WHO, at=now_ms())
    client = producer(endpoints.bootstrap)
    client.produce(CONTROL_TOPIC.name, record.payload(), record.name)
    if client.flush(_FLUSH_S):
        message = f"topic {CONTROL_TOPIC.name} did not accept the decision within {_FLUSH_S} s. Look at kafka.log."
        raise EnvironmentProblem(message)
