"""Both Python loops compute the oracle's values of a small log, on a real Redis."""

import random
import time

import msgspec

from benchmarks.harness import against_oracle
from benchmarks.harness.pipeline import FOUR_GROUPS, shipped_plan
from benchmarks.inputs.event_log import EventLog, Scale, make_log
from benchmarks.peers.batched_loop import BatchedLoop
from benchmarks.peers.usual_loop import UsualLoop, UsualReader
from headrace.connections.redis_clients import Client
from headrace.lang.plan.plan import Group, Key


def small_log() -> EventLog:
    log = make_log(Scale(events=4_000, users=60, items=80), tag="t", seed=5, end_ms=time.time_ns() // 1_000_000)
    random.Random(5).shuffle(log.events)
    return log


def test_usual_loop(client: Client) -> None:
    log, plan, reader = small_log(), shipped_plan(*FOUR_GROUPS), UsualReader(client)
    loop = UsualLoop(client, log.categories)
    for _, payload in log.event_records():
        loop.handle(msgspec.json.decode(payload))

    def read(group: Group, keys: list[Key]) -> list[dict[str, object]]:
        return [reader.read(group.name, key, at_ms=log.end_ms) for key in keys]

    assert against_oracle.differences(against_oracle.sample(plan, log, log.accepted(), seed=1), read, ratio=1e-6) == []


def test_batched_loop(client: Client) -> None:
    log, plan = small_log(), shipped_plan(*FOUR_GROUPS)
    loop = BatchedLoop(client, log.categories)
    payloads = [payload for _, payload in log.event_records()]
    for first in range(0, len(payloads), 700):
        loop.handle(payloads[first : first + 700])
    read = against_oracle.read_store(client, at_ms=log.end_ms)
    accepted = log.accepted()
    assert against_oracle.differences(against_oracle.sample(plan, log, accepted, seed=1), read, ratio=1e-6) == []
    assert against_oracle.totals_of_store(client, plan, accepted, tag=log.tag) == against_oracle.totals_of_log(
        plan, accepted
    )
