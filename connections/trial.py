# pyright: reportUnknownMemberType=false
"""Tries connections, and says in one sentence why one is refused."""

import re
import sys
import time
from collections.abc import Iterator

from confluent_kafka import KafkaError, KafkaException
from msgspec import Struct
from redis.exceptions import AuthenticationError, NoPermissionError

from headrace.connections.kafka_clients import admin
from headrace.connections.redis_clients import StoreError, connect
from headrace.connections.settings import text, variable
from headrace.schemas.environment import SettingError

_WAIT_S = 10.0
_STEP_S = 2.0
_NOISE = re.compile(r"(^[^ ]*/(bootstrap|\d+): )|( \(after \d+ms in state \w+\))|(:? ?\(_ssl\.c:\d+\))")
_CREDENTIALS = "SASL authentication error"


class Attempt(Struct, frozen=True):
    """What came of an attempt to connect: `problem` is empty if it succeeded; `final` if waiting would not help."""

    problem: str = ""
    final: bool = False


def exit_if_refused(bootstrap: str, redis_url: str = "") -> None:
    """End the process with one sentence if Kafka, or Redis if its address is given, does not accept this client.

    If one does not answer at all, it may be starting: the process continues, and waits for it.
    """
    attempts = [try_kafka(bootstrap), *([try_redis(redis_url)] if redis_url else ())]
    if problems := [each.problem for each in attempts if each.final]:
        sys.exit("; ".join(problems))


def try_kafka(bootstrap: str, wait_s: float = _WAIT_S) -> Attempt:
    """Ask the brokers for their names, until one answers, none is left, or the time is over."""
    errors: list[KafkaError] = []
    try:
        client = admin(bootstrap, {"log_level": 0}, on_error=errors.append)
    except SettingError as error:
        return Attempt(str(error), final=True)
    end = time.monotonic() + wait_s
    while (left := end - time.monotonic()) > 0 and not _are_down(errors):
        try:
            client.list_topics(timeout=min(left, _STEP_S))
        except KafkaException:
            client.poll(0)  # calls on_error
        else:
            return Attempt()
    return _explained(bootstrap, errors)


def _are_down(errors: list[KafkaError]) -> bool:
    return any(each.code() == KafkaError._ALL_BROKERS_DOWN for each in errors)


def _refusal(errors: list[KafkaError]) -> KafkaError | None:
    return next((each for each in errors if each.code() in (KafkaError._AUTHENTICATION, KafkaError._SSL)), None)


def _explained(bootstrap: str, errors: list[KafkaError]) -> Attempt:
    if (refusal := _refusal(errors)) is None:
        reasons = [_NOISE.sub("", each.str()) for each in errors if each.code() != KafkaError._ALL_BROKERS_DOWN]
        protocol = variable("kafka.security.protocol")
        unlike = f"does it speak {text('kafka.security.protocol', 'plaintext')}, as {protocol} says?"
        detail = reasons[-1] if reasons else unlike
        return Attempt(f"Kafka at {bootstrap} does not answer: {detail}")
    reason = _NOISE.sub("", refusal.str())
    fix = "see docs/connect.md"
    if refusal.code() == KafkaError._SSL:
        fix = f"check {variable('kafka.ssl.ca.location')}"
    elif reason.startswith(_CREDENTIALS):
        fix = f"check {variable('kafka.sasl.username')} and {variable('kafka.sasl.password')}"
    return Attempt(f"Kafka at {bootstrap} refuses this client: {reason}; {fix}", final=True)


def try_redis(url: str, wait_s: float = _WAIT_S) -> Attempt:
    """Ping the store."""
    try:
        with connect(url, timeout_s=wait_s) as client:
            client.ping()
    except SettingError as error:
        return Attempt(str(error), final=True)
    except StoreError as error:
        detail = _NOISE.sub("", str(error))
        if any(isinstance(each, AuthenticationError | NoPermissionError) for each in _causes(error)):
            fix = f"check {variable('redis.username')} and {variable('redis.password')}"
            return Attempt(f"Redis at {url} refuses this client: {detail}; {fix}", final=True)
        if "CERTIFICATE" in detail.upper() or "X509" in detail:
            fix = f"check {variable('redis.tls.ca')}"
            return Attempt(f"Redis at {url} refuses this client: {detail}; {fix}", final=True)
        return Attempt(f"Redis at {url} does not answer: {detail}")
    return Attempt()


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what it comes from: a client of a cluster wraps those of its nodes."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
